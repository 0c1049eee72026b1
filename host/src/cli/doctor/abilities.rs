//! What the platform says it can do here, as findings. Pure.

use super::{Finding, State};
use crate::platform::Ability;

pub(super) fn findings(abilities: Vec<Ability>) -> Vec<Finding> {
    abilities.into_iter().map(finding).collect()
}

fn finding(ability: Ability) -> Finding {
    let Ability { name, present, essential, detail, costs } = ability;
    let state = match (present, essential) {
        (true, _) => State::Good,
        (false, false) => State::Limited,
        (false, true) => State::Bad,
    };
    Finding { subject: name, state, detail, costs: (!present).then_some(costs) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_costs_something_and_only_what_is_essential_is_bad() {
        let told = |present, essential| {
            let ability = Ability { name: "x", present, essential, detail: "seen".to_owned(), costs: "much" };
            let finding = finding(ability);
            (finding.state, finding.costs)
        };
        assert_eq!(told(true, true), (State::Good, None));
        assert_eq!(told(false, false), (State::Limited, Some("much")));
        assert_eq!(told(false, true), (State::Bad, Some("much")));
    }
}
