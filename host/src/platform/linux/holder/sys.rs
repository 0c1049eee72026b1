//! System calls of holder and client that nobody else offers, each wrapped once into a safe function.
//!
//! Owns no state. Only the holder's files enter.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// The result of a call that answers -1 when it fails.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The descriptor that a call has just made.
fn owned(result: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: callers pass the result of a call that makes a descriptor, which nobody else knows yet.
    check(result).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

fn address(path: &CStr) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    // SAFETY: zeros are a valid value of the structure.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    let bytes = path.to_bytes();
    if bytes.len() >= address.sun_path.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in address.sun_path.iter_mut().zip(bytes) {
        *place = *byte as libc::c_char;
    }
    Ok((address, size_of::<libc::sockaddr_un>() as libc::socklen_t))
}

fn packet_socket(flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    owned(unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | flags, 0) })
}

/// A socket at this path that daemons connect to, for its owner only.
pub(super) fn listen(path: &CStr) -> io::Result<OwnedFd> {
    let socket = packet_socket(libc::SOCK_NONBLOCK)?;
    let (address, length) = address(path)?;
    // SAFETY: the address is valid for its length; the rest are plain numbers and a null-terminated string.
    unsafe {
        check(libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length))?;
        check(libc::chmod(path.as_ptr(), 0o600))?;
        check(libc::listen(socket.as_raw_fd(), 16))?;
    }
    Ok(socket)
}

/// A connection to the socket at this path; it does not block when it is used.
pub(super) fn connect(path: &CStr) -> io::Result<OwnedFd> {
    let socket = packet_socket(libc::SOCK_NONBLOCK)?;
    let (address, length) = address(path)?;
    // SAFETY: the address is valid for its length.
    check(unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(socket)
}

/// The next daemon that connects; none waits: `WouldBlock`.
pub(super) fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: null addresses are allowed.
    owned(unsafe { libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags) })
}

/// User and pid of the process at the other end.
pub(super) fn peer(socket: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    let mut credentials = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let into = (&raw mut credentials).cast();
    // SAFETY: the pointers are valid for the structure and its length.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, into, &raw mut length) };
    check(result)?;
    Ok((credentials.uid, credentials.pid as u32))
}

/// This process's user.
pub(super) fn own_user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// Room for one descriptor beside a packet, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Beside([u8; 24]);

/// Send one packet, with a descriptor beside it or without. Never blocks: `WouldBlock`.
pub(super) fn send(socket: BorrowedFd<'_>, packet: &[u8], beside: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let mut part = libc::iovec { iov_base: packet.as_ptr().cast_mut().cast(), iov_len: packet.len() };
    let mut room = Beside([0; 24]);
    // SAFETY: zeros are a valid value of the structure. All pointers put into it live until the call has returned, and
    // `room` is large enough for one descriptor (CMSG_SPACE of four bytes is 24).
    let sent = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        if let Some(fd) = beside {
            header.msg_control = room.0.as_mut_ptr().cast();
            header.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
            let control = libc::CMSG_FIRSTHDR(&raw const header);
            (*control).cmsg_level = libc::SOL_SOCKET;
            (*control).cmsg_type = libc::SCM_RIGHTS;
            (*control).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(control).cast::<RawFd>().write_unaligned(fd.as_raw_fd());
        }
        libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// One packet that has arrived.
pub(super) struct Received {
    /// Its length in the buffer; 0 when the other side has closed (an empty packet comes with a descriptor).
    pub(super) length: usize,
    /// The descriptor beside it.
    pub(super) beside: Option<OwnedFd>,
    /// Whether the buffer was too small for it.
    pub(super) cut: bool,
}

/// Receive one packet. Never blocks: `WouldBlock`. A second descriptor beside it is closed by the kernel.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut room = Beside([0; 24]);
    // SAFETY: as in `send`; the kernel writes within the lengths given. A descriptor that it has put beside the packet
    // is new and ours alone.
    unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = room.0.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        let length = libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags);
        let Ok(length) = usize::try_from(length) else { return Err(io::Error::last_os_error()) };
        let control = libc::CMSG_FIRSTHDR(&raw const header);
        let holds_one = !control.is_null()
            && (*control).cmsg_level == libc::SOL_SOCKET
            && (*control).cmsg_type == libc::SCM_RIGHTS
            && (*control).cmsg_len as usize == libc::CMSG_LEN(size_of::<RawFd>() as u32) as usize;
        let beside = holds_one.then(|| OwnedFd::from_raw_fd(libc::CMSG_DATA(control).cast::<RawFd>().read_unaligned()));
        Ok(Received { length, beside, cut: header.msg_flags & libc::MSG_TRUNC != 0 })
    }
}

/// Whether the other side of this connection is gone.
pub(super) fn is_closed(socket: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLRDHUP, revents: 0 };
    // SAFETY: the pointer is valid for the one structure.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready > 0 && poll.revents & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0
}

/// Wait until one of the descriptors can be read (or, where `writable` says so, written); at most this long, for ever
/// when `None`. Tells for each whether it is ready.
pub(super) fn poll<const N: usize>(
    descriptors: [(Option<BorrowedFd<'_>>, bool); N],
    milliseconds: Option<u64>,
) -> io::Result<[bool; N]> {
    let mut set = descriptors.map(|(fd, writable)| libc::pollfd {
        fd: fd.map_or(-1, |fd| fd.as_raw_fd()),
        events: libc::POLLIN | if writable { libc::POLLOUT } else { 0 },
        revents: 0,
    });
    let timeout = milliseconds.map_or(-1, |ms| libc::c_int::try_from(ms).unwrap_or(libc::c_int::MAX));
    // SAFETY: the pointer is valid for the N structures.
    match check(unsafe { libc::poll(set.as_mut_ptr(), N as libc::nfds_t, timeout) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(set.map(|one| one.revents != 0)),
    }
}

/// A file in memory with this content, which nobody can change any more.
pub(super) fn memory_file(content: &[u8]) -> io::Result<OwnedFd> {
    use std::os::unix::fs::FileExt;
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: a null-terminated name and a number.
    let file = File::from(owned(unsafe { libc::memfd_create(c"wasmvisor".as_ptr(), flags) })?);
    file.write_all_at(content, 0)?;
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
    // SAFETY: plain numbers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) })?;
    Ok(file.into())
}

/// The content of such a file, if it is sealed and no longer than `limit`.
pub(super) fn memory_content(file: OwnedFd, limit: usize) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;
    // SAFETY: plain numbers.
    let seals = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) })?;
    let file = File::from(file);
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if seals & libc::F_SEAL_WRITE == 0 || length > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut content = vec![0; length];
    file.read_exact_at(&mut content, 0)?;
    Ok(content)
}

/// A counter to wake a thread with (eventfd(2)).
pub(super) fn waker() -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

/// Wake whoever waits for this counter.
pub(super) fn wake(waker: BorrowedFd<'_>) {
    let one = 1_u64;
    // SAFETY: the pointer is valid for the eight bytes. A full counter is as good: its reader is awake.
    unsafe { libc::write(waker.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
}

/// Set the counter back.
pub(super) fn hear(waker: BorrowedFd<'_>) {
    let mut count = 0_u64;
    // SAFETY: the pointer is valid for the eight bytes.
    unsafe { libc::read(waker.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
}

/// What an epoll instance can be asked to tell.
#[derive(Clone, Copy)]
pub(super) enum Interest {
    Readable,
    ReadableOrWritable,
    /// Each change once.
    Changes,
    /// Once, until it is asked for again.
    Once,
}

impl Interest {
    const fn events(self) -> u32 {
        (match self {
            Self::Readable => libc::EPOLLIN,
            Self::ReadableOrWritable => libc::EPOLLIN | libc::EPOLLOUT,
            Self::Changes => libc::EPOLLIN | libc::EPOLLET,
            Self::Once => libc::EPOLLIN | libc::EPOLLONESHOT,
        }) as u32
    }
}

/// An epoll instance.
#[derive(Debug)]
pub(super) struct Epoll(OwnedFd);

/// Events taken at a time.
pub(super) const BATCH: usize = 32;

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a plain number.
        owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) }).map(Self)
    }

    fn control(&self, operation: libc::c_int, fd: BorrowedFd<'_>, interest: Interest, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest.events(), u64: token };
        // SAFETY: the pointer is valid for the structure.
        check(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_raw_fd(), &raw mut event) }).map(drop)
    }

    /// Watch a descriptor until it is closed everywhere or removed.
    pub(super) fn add(&self, fd: BorrowedFd<'_>, interest: Interest, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, interest, token)
    }

    pub(super) fn change(&self, fd: BorrowedFd<'_>, interest: Interest, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, interest, token)
    }

    /// A child may hold a copy of the descriptor for a moment, so closing alone does not end the watch.
    pub(super) fn remove(&self, fd: BorrowedFd<'_>) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, Interest::Readable, 0);
    }

    /// Tokens of what is ready, after waiting at most this long; for ever when `None`.
    pub(super) fn wait(&self, milliseconds: Option<u64>) -> impl Iterator<Item = u64> + use<> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; BATCH];
        let timeout = milliseconds.map_or(-1, |ms| libc::c_int::try_from(ms).unwrap_or(libc::c_int::MAX));
        // SAFETY: the pointer is valid for that many structures.
        let count = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.as_mut_ptr(), BATCH as libc::c_int, timeout) };
        // An interrupted wait has found nothing.
        events.into_iter().take(usize::try_from(count).unwrap_or(0)).map(|event| event.u64)
    }
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A descriptor that is readable while one of these signals waits. They must be blocked.
pub(super) fn signal_descriptor(signals: &[libc::c_int]) -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by `sigemptyset` and valid for the calls.
    unsafe {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        owned(libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))
    }
}

/// The next signal that waits there.
pub(super) fn next_signal(signals: BorrowedFd<'_>) -> Option<u32> {
    let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
    // SAFETY: the pointer is valid for the structure; zeros are a valid value of it.
    unsafe {
        let length = size_of::<libc::signalfd_siginfo>();
        let read = libc::read(signals.as_raw_fd(), info.as_mut_ptr().cast(), length);
        (usize::try_from(read) == Ok(length)).then(|| info.assume_init().ssi_signo)
    }
}

/// Have a descriptor stay open, or not, when this process executes another program.
pub(super) fn keep_across_execution(descriptor: RawFd, keep: bool) -> io::Result<()> {
    let flags = if keep { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: plain numbers.
    check(unsafe { libc::fcntl(descriptor, libc::F_SETFD, flags) }).map(drop)
}

/// Take over a descriptor that the program before this one has left open for it. Call it once for each.
///
/// # Errors
/// When there is no such descriptor.
pub(super) fn take_over(descriptor: RawFd) -> io::Result<OwnedFd> {
    keep_across_execution(descriptor, false)?;
    // SAFETY: it is open, and was handed to this program for this one use.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Which of two processes this is.
pub(super) enum Forked {
    Parent,
    Child,
}

/// Make a copy of this process. It must have one thread and hold no lock: it has just begun.
pub(super) fn fork() -> io::Result<Forked> {
    // SAFETY: with one thread, the child may do whatever the parent could.
    Ok(if check(unsafe { libc::fork() })? == 0 { Forked::Child } else { Forked::Parent })
}

/// Begin a session of one's own, without a terminal.
pub(super) fn new_session() -> io::Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Both ends of a pipe.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the pointer is valid for two numbers; both descriptors are new and ours alone.
    unsafe {
        check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Take this file for oneself alone, as long as it is open; `WouldBlock` when somebody else has it.
pub(super) fn lock(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: plain numbers.
    check(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
}

/// Have every block of more than 64 KiB given back to the system when it is freed, so that one large request leaves
/// nothing behind. The allocator would otherwise learn to keep such blocks.
pub(super) fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: plain numbers.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 10);
    }
}
