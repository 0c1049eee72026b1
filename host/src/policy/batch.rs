//! Batches: which positions belong to which judge.
//!
//! Pure.

/// The positions of each judge, in order. `None` stands for "no binding matches".
pub(super) fn groups(places: &[Option<usize>]) -> Vec<(Option<usize>, Vec<usize>)> {
    // One binding for all is the usual case.
    if let Some(first) = places.first()
        && places.iter().all(|place| place == first)
    {
        return vec![(*first, (0..places.len()).collect())];
    }
    let mut groups: Vec<(Option<usize>, Vec<usize>)> = Vec::new();
    for (position, place) in places.iter().enumerate() {
        // There are as many groups as bindings that match, which is a handful.
        match groups.iter_mut().find(|(judge, _)| judge == place) {
            Some((_, positions)) => positions.push(position),
            None => groups.push((*place, vec![position])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn every_position_is_in_exactly_one_group_and_in_order() {
        let found = groups(&[Some(1), None, Some(1), Some(0), None]);
        assert_eq!(found, [(Some(1), vec![0, 2]), (None, vec![1, 4]), (Some(0), vec![3])]);
        assert_eq!(groups(&[Some(2), Some(2)]), [(Some(2), vec![0, 1])]);
        assert!(groups(&[]).is_empty());
    }
}
