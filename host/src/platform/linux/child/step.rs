//! The steps of a new process by name and number.
//!
//! Pure. `steps` names the one that failed, `prepare` says it in words.

/// A step of the child, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::platform) enum Step {
    /// Before the clone: a NUL byte in a text.
    Prepare,
    /// Before the clone: the directory or the program lies where a private /tmp would hide it.
    Hidden,
    /// Before the clone: the directory lies in a restricted path by now.
    Restricted,
    /// Before the clone: an argument leads where it must not; the detail is its place in the list.
    Argument,
    /// Before the clone: the kernel has no Landlock.
    NoLandlock,
    Clone,
    UserNamespace,
    Session,
    Cgroup,
    Descriptors,
    NullInput,
    Output,
    ErrorOutput,
    IoPriority,
    CoreLimit,
    FileSizeLimit,
    Directory,
    PrivateTmp,
    Privileges,
    /// Landlock itself.
    Landlock,
    /// A path of the rules; the detail is its place in the list of rules.
    Rule,
    Groups,
    Group,
    User,
    DirectoryAgain,
    HandleLimit,
    Execute,
}

impl Step {
    pub(super) const ALL: [Self; 27] = [
        Self::Prepare,
        Self::Hidden,
        Self::Restricted,
        Self::Argument,
        Self::NoLandlock,
        Self::Clone,
        Self::UserNamespace,
        Self::Session,
        Self::Cgroup,
        Self::Descriptors,
        Self::NullInput,
        Self::Output,
        Self::ErrorOutput,
        Self::IoPriority,
        Self::CoreLimit,
        Self::FileSizeLimit,
        Self::Directory,
        Self::PrivateTmp,
        Self::Privileges,
        Self::Landlock,
        Self::Rule,
        Self::Groups,
        Self::Group,
        Self::User,
        Self::DirectoryAgain,
        Self::HandleLimit,
        Self::Execute,
    ];

    /// The step with this number (`step as u8`), as a message between two processes carries it.
    pub(in crate::platform) fn of_number(number: i32) -> Option<Self> {
        usize::try_from(number).ok().and_then(|number| Self::ALL.get(number).copied())
    }
}
