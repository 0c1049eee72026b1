//! Users and groups by name or number.
//!
//! Owns no state. Whoever judges a specification enters; asking may wait for a directory service, so not in a task that
//! others wait for.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, getgrouplist, getgroups};

use crate::platform::{Account, UserError, UserIds, UserRequest};

/// Look up who to become.
///
/// # Errors
/// Names the user or group that this machine does not know.
pub fn find_user(request: &UserRequest) -> Result<Account, UserError> {
    let user = request.user.as_deref().map(user).transpose()?;
    let primary = match (&request.group, &user) {
        (Some(name), _) => group(name)?,
        (None, Some(Found::Known(user))) => user.gid,
        (None, Some(Found::Number(uid))) => return Err(UserError::NoPrimaryGroup(uid.as_raw())),
        (None, None) => getegid(),
    };
    let groups = match &request.groups {
        Some(names) => names.iter().map(|name| group(name)).collect::<Result<Vec<_>, _>>()?,
        None => usual_groups(user.as_ref(), primary),
    };
    let uid = user.as_ref().map_or_else(geteuid, Found::uid);
    let groups = groups.into_iter().filter(|group| *group != primary).map(Gid::as_raw).collect();
    let ids = UserIds { uid: uid.as_raw(), gid: primary.as_raw(), groups };
    let known = match user {
        Some(Found::Known(user)) => Some(*user),
        _ => None,
    };
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    Ok(Account {
        ids,
        name: known.as_ref().map(|user| user.name.clone()),
        home: known.as_ref().map(|user| text(user.dir.clone())),
        shell: known.map(|user| text(user.shell)),
    })
}

enum Found {
    Known(Box<User>),
    /// A number that no account has; it may be used all the same.
    Number(Uid),
}

impl Found {
    fn uid(&self) -> Uid {
        match self {
            Self::Known(user) => user.uid,
            Self::Number(uid) => *uid,
        }
    }
}

fn user(name: &str) -> Result<Found, UserError> {
    let failed = |source: nix::Error| UserError::Lookup { name: name.to_owned(), source: source.into() };
    let number = name.parse().ok().map(Uid::from_raw);
    let found = match number {
        Some(uid) => User::from_uid(uid),
        None => User::from_name(name),
    };
    match (found.map_err(failed)?, number) {
        (Some(user), _) => Ok(Found::Known(Box::new(user))),
        (None, Some(uid)) => Ok(Found::Number(uid)),
        (None, None) => Err(UserError::UnknownUser(name.to_owned())),
    }
}

fn group(name: &str) -> Result<Gid, UserError> {
    if let Ok(number) = name.parse() {
        return Ok(Gid::from_raw(number));
    }
    let failed = |source: nix::Error| UserError::Lookup { name: name.to_owned(), source: source.into() };
    let found = Group::from_name(name).map_err(failed)?;
    found.map(|group| group.gid).ok_or_else(|| UserError::UnknownGroup(name.to_owned()))
}

/// The groups an account is a member of; our own when it is to stay who we are; none for a mere number.
fn usual_groups(user: Option<&Found>, primary: Gid) -> Vec<Gid> {
    match user {
        None => getgroups().unwrap_or_default(),
        Some(Found::Number(_)) => Vec::new(),
        Some(Found::Known(user)) => {
            CString::new(user.name.as_bytes()).ok().and_then(|n| getgrouplist(&n, primary).ok()).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(user: Option<&str>, group: Option<&str>, groups: Option<&[&str]>) -> UserRequest {
        let own = |text: &str| text.to_owned();
        UserRequest {
            user: user.map(own),
            group: group.map(own),
            groups: groups.map(|names| names.iter().map(|name| own(name)).collect()),
        }
    }

    #[test]
    fn a_user_is_found_by_name_and_by_number_alike() {
        let by_name = find_user(&request(Some("root"), None, None)).unwrap();
        assert_eq!((by_name.ids.uid, by_name.ids.gid, by_name.home.as_deref()), (0, 0, Some("/root")));
        assert_eq!(find_user(&request(Some("0"), None, None)).unwrap(), by_name);
    }

    #[test]
    fn an_unknown_name_is_told() {
        let error = find_user(&request(Some("nobody-by-this-name"), None, None)).unwrap_err();
        assert!(error.to_string().contains("`nobody-by-this-name`"), "{error}");
        let error = find_user(&request(None, Some("no-such-group"), None)).unwrap_err();
        assert!(matches!(error, UserError::UnknownGroup(_)), "{error}");
    }

    #[test]
    fn a_mere_number_needs_a_group() {
        let error = find_user(&request(Some("3999999999"), None, None)).unwrap_err();
        assert!(matches!(error, UserError::NoPrimaryGroup(3_999_999_999)), "{error}");
        let account = find_user(&request(Some("3999999999"), Some("12"), Some(&["34", "12"]))).unwrap();
        assert_eq!(account.ids, UserIds { uid: 3_999_999_999, gid: 12, groups: vec![34] });
    }

    #[test]
    fn a_group_alone_leaves_the_user() {
        let account = find_user(&request(None, Some("12"), Some(&[]))).unwrap();
        assert_eq!(account.ids, UserIds { uid: geteuid().as_raw(), gid: 12, groups: Vec::new() });
    }
}
