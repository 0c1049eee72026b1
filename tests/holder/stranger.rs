//! Whoever else connects to the holder: a second daemon, another version, nonsense.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recvmsg, sendmsg, socket,
};

use super::*;

/// A connection that speaks for itself, byte by byte.
struct Stranger(OwnedFd);

impl Stranger {
    fn connect(ground: &Ground) -> Self {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        connect(socket.as_raw_fd(), &UnixAddr::new(&ground.path("holder.sock")).unwrap()).unwrap();
        Self(socket)
    }

    fn say(&self, packet: &[u8]) {
        self.say_with(packet, &[]);
    }

    fn say_with(&self, packet: &[u8], descriptors: &[i32]) {
        let beside = [ControlMessage::ScmRights(descriptors)];
        let beside = if descriptors.is_empty() { &beside[..0] } else { &beside[..] };
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(packet)], beside, MsgFlags::MSG_NOSIGNAL, None).unwrap();
    }

    /// The next packet; empty when the holder has hung up.
    fn hear(&self) -> Vec<u8> {
        let mut packet = vec![0; 1 << 16];
        let mut parts = [IoSliceMut::new(&mut packet)];
        let received = recvmsg::<()>(self.0.as_raw_fd(), &mut parts, None, MsgFlags::empty());
        let length = received.map_or(0, |received| received.bytes);
        packet.truncate(length);
        packet
    }

    fn greet(&self) {
        self.say(&hello(1, 0));
        while number_of(&self.hear()) != 3 {}
    }
}

/// Message 1: major and minor version, as request number 7.
fn hello(major: u16, minor: u16) -> Vec<u8> {
    [&1_u16.to_le_bytes()[..], &7_u32.to_le_bytes(), &major.to_le_bytes(), &minor.to_le_bytes()].concat()
}

fn number_of(packet: &[u8]) -> u16 {
    u16::from_le_bytes([packet[0], packet[1]])
}

/// A holder that stays because it has a run, and no daemon.
fn left_alone() -> Ground {
    let mut ground = Ground::new();
    let mut launcher = ground.attach();
    ground.run(&mut launcher, "worker", "sleep 1000");
    ground
}

#[tokio::test]
async fn a_second_daemon_is_refused_while_the_first_lives() {
    let ground = Ground::new();
    let first = ground.attach();
    let error = HolderLauncher::attach(ground.settings()).unwrap_err();
    assert_eq!(error.source.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())), "{error}");
    drop(first);
    drop(ground.attach());
}

#[tokio::test]
async fn another_major_version_is_told_ours_and_another_minor_one_is_welcome() {
    let ground = left_alone();
    let other = Stranger::connect(&ground);
    other.say(&hello(2, 0));
    let answer = other.hear();
    assert_eq!((number_of(&answer), &answer[6..8]), (12, &1_u16.to_le_bytes()[..]));
    drop(other);
    let newer = Stranger::connect(&ground);
    // A newer one may say more than we know.
    newer.say(&[hello(1, 99), vec![1, 2, 3]].concat());
    assert_eq!(number_of(&newer.hear()), 1);
}

#[tokio::test]
async fn a_request_that_is_not_known_is_answered_so_and_nothing_else_happens() {
    let ground = left_alone();
    let newer = Stranger::connect(&ground);
    newer.greet();
    newer.say(&[&999_u16.to_le_bytes()[..], &5_u32.to_le_bytes(), b"whatever"].concat());
    let answer = newer.hear();
    assert_eq!((number_of(&answer), &answer[2..6], &answer[6..8]), (9, &[5, 0, 0, 0][..], &999_u16.to_le_bytes()[..]));
}

#[tokio::test]
async fn nonsense_costs_whoever_sends_it_the_connection_and_nobody_else_anything() {
    let ground = left_alone();
    let holder = ground.holder().unwrap();
    let before = descriptors_of(holder);
    let launch_of_nothing = [&2_u16.to_le_bytes()[..], &8_u32.to_le_bytes(), &[255; 40]].concat();
    let nonsense: [&[u8]; 5] = [b"x", b"GET / HTTP/1.1\r\n\r\n", &[0; 65_536], &[255; 100_000], &launch_of_nothing];
    for (greeted, packet) in nonsense.iter().flat_map(|packet| [(false, packet), (true, packet)]) {
        let stranger = Stranger::connect(&ground);
        if greeted {
            stranger.greet();
        }
        stranger.say(packet);
        // It may be told that its request is not known first.
        while !stranger.hear().is_empty() {
            stranger.say(b"x");
        }
    }
    for beside in [fs::File::open("/dev/zero").unwrap(), fs::File::open("/proc/self/exe").unwrap()] {
        let stranger = Stranger::connect(&ground);
        stranger.greet();
        stranger.say_with(&[], &[beside.as_raw_fd(), beside.as_raw_fd()]);
        assert!(stranger.hear().is_empty());
    }
    assert_eq!(ground.holder(), Some(holder));
    until("the connections to close", || (descriptors_of(holder) <= before).then_some(())).await;
    assert_eq!(ground.attach().survivors().len(), 1);
}

#[tokio::test]
async fn the_socket_journal_and_log_are_their_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let ground = left_alone();
    for name in ["holder.sock", "holder.journal", "holder.log"] {
        let mode = fs::metadata(ground.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[tokio::test]
async fn the_holder_shrugs_off_the_signals_of_a_terminal_and_of_a_shutdown_while_it_has_a_run() {
    let ground = left_alone();
    let holder = ground.holder().unwrap();
    for name in ["INT", "HUP", "QUIT", "TERM"] {
        signal(name, holder);
    }
    assert_eq!(ground.attach().survivors().len(), 1);
    assert_eq!(ground.holder(), Some(holder));
    assert_eq!(status_of(holder, "NSsid"), status_of(holder, "NSpid"), "a session of its own");
    assert_eq!(fs::read_link(format!("/proc/{holder}/cwd")).unwrap(), PathBuf::from("/"));
}
