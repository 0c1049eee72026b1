//! A run and its descendants: who they are now, and how to reach every one of them.
//!
//! Owns no state: each question is asked of the kernel anew. The rules, in order:
//! descent from the leader while it lives; orphans that this process has adopted (it must be a subreaper); and, when the
//! leader is gone and its orphans went to somebody else, one look through all processes for the marker in their
//! environment. A process older than the leader is never a member.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;

use super::stat::{self, Stat};
use super::{adopt, scan, sys};
use crate::platform::Tree;
use crate::spec::{ProcessId, StopSignal};

/// Rounds of finding and killing before what is left is the caller's to report. Each round reaches what was born
/// during the one before.
const KILL_ROUNDS: usize = 8;

/// A process that belongs to the tree.
#[derive(Debug, Clone, Copy)]
struct Member {
    pid: u32,
    stat: Stat,
}

/// Pids of the members of each tree, its leader first if it lives. One look through all processes serves them all.
pub(crate) fn members(trees: &[Tree]) -> Vec<Vec<u32>> {
    let mut look = Look::since(trees.iter().map(|tree| tree.leader.start_ticks).min().unwrap_or_default());
    let pids = |tree: &Tree| find(tree, Depth::Usual, &mut look).iter().map(|member| member.pid).collect();
    trees.iter().map(pids).collect()
}

/// Send a signal to the leader alone; whether it still lived to get it.
pub(crate) fn signal_leader(tree: &Tree, signal: StopSignal) -> io::Result<bool> {
    let leader = &tree.leader;
    let at_pid = stat::read_stat(leader.pid).ok().filter(|_| stat::is_of_this_boot(leader));
    let alive = at_pid.filter(|stat| stat.start_ticks == leader.start_ticks && stat.lives());
    alive.map_or(Ok(false), |stat| signal_member(Member { pid: leader.pid, stat }, signal))
}

/// Send a signal to every member; returns how many got it.
pub(crate) fn signal(tree: &Tree, signal: StopSignal) -> io::Result<usize> {
    let (rounds, depth) = if signal == StopSignal::KILL { (KILL_ROUNDS, Depth::All) } else { (1, Depth::Usual) };
    let mut reached = HashSet::new();
    let mut refused = None;
    for _ in 0..rounds {
        let fresh: Vec<_> = find_one(tree, depth).into_iter().filter(|member| !reached.contains(&member.pid)).collect();
        if fresh.is_empty() {
            break;
        }
        // The group first and at once, so that none of it can fork between one signal and the next.
        let group = fresh.first().filter(|first| first.pid == tree.leader.pid).copied();
        let group_reached = group.is_some_and(|leader| signal_group(leader, signal).is_ok());
        for member in fresh {
            if group_reached && member.stat.group == tree.leader.pid {
                reached.insert(member.pid);
                continue;
            }
            match signal_member(member, signal) {
                Ok(true) => {
                    reached.insert(member.pid);
                }
                Ok(false) => {}
                Err(error) => refused = Some(error),
            }
        }
    }
    refused.map_or(Ok(reached.len()), Err)
}

/// Make every thread of every member less favoured; returns how many processes.
pub(crate) fn throttle(tree: &Tree) -> io::Result<usize> {
    let mut reached = 0;
    for member in find_one(tree, Depth::Usual) {
        let mut set = false;
        for thread in stat::threads_of(member.pid) {
            match sys::set_niceness(thread, 19) {
                Ok(()) => set = true,
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                Err(error) => return Err(error),
            }
        }
        reached += usize::from(set);
    }
    Ok(reached)
}

fn signal_group(leader: Member, signal: StopSignal) -> io::Result<()> {
    let pidfd = sys::pidfd_open(leader.pid)?;
    // The descriptor is bound to whoever had the pid when it was opened: identity is checked after that.
    if !is_still(leader) {
        return Err(io::ErrorKind::NotFound.into());
    }
    sys::signal_group(pidfd.as_fd(), leader.pid, signal.number())
}

/// Whether the signal was delivered; `false` when the member has ended meanwhile.
fn signal_member(member: Member, signal: StopSignal) -> io::Result<bool> {
    let gone = |error: &io::Error| error.raw_os_error() == Some(libc::ESRCH);
    let pidfd = match sys::pidfd_open(member.pid) {
        Err(error) if gone(&error) => return Ok(false),
        other => other?,
    };
    if !is_still(member) {
        return Ok(false);
    }
    match sys::signal_process(pidfd.as_fd(), signal.number()) {
        Err(error) if gone(&error) => Ok(false),
        other => other.map(|()| true),
    }
}

fn is_still(member: Member) -> bool {
    stat::read_stat(member.pid).is_ok_and(|now| now.start_ticks == member.stat.start_ticks)
}

/// How far to look for members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// Orphans that went to somebody else are looked for only once the leader is gone: it takes a look at every process.
    Usual,
    /// Everywhere, as far as orphans may have gone to somebody else.
    All,
}

/// One look through all processes for marks, taken when it is first needed.
struct Look {
    oldest: u64,
    marked: Option<Vec<(ProcessId, u32)>>,
}

impl Look {
    fn since(oldest: u64) -> Self {
        Self { oldest, marked: None }
    }

    fn marked(&mut self) -> &[(ProcessId, u32)] {
        self.marked.get_or_insert_with(|| scan::scan_since(self.oldest))
    }
}

fn find_one(tree: &Tree, depth: Depth) -> Vec<Member> {
    find(tree, depth, &mut Look::since(tree.leader.start_ticks))
}

/// Every member that lives now.
fn find(tree: &Tree, depth: Depth, look: &mut Look) -> Vec<Member> {
    let leader = &tree.leader;
    if !stat::is_of_this_boot(leader) {
        return Vec::new();
    }
    let mut search = Search { oldest: leader.start_ticks, seen: HashSet::new(), found: Vec::new() };
    let at_pid = stat::read_stat(leader.pid).ok();
    let leader_lives = at_pid.is_some_and(|stat| stat.start_ticks == leader.start_ticks && stat.lives());
    // The pid names the session as well, unless somebody else has it by now.
    let session = at_pid.is_none_or(|stat| stat.start_ticks == leader.start_ticks).then_some(leader.pid);
    if leader_lives {
        search.add(leader.pid);
    }
    let orphans_come_here = adopt::is_subreaper();
    if orphans_come_here {
        for pid in adopt::adopted_children() {
            let ours = |stat: Stat| Some(stat.session) == session || scan::is_marked(pid, &tree.process_id);
            if stat::read_stat(pid).is_ok_and(ours) {
                search.add(pid);
            }
        }
    }
    let look_everywhere = !leader_lives || depth == Depth::All;
    if look_everywhere && !(orphans_come_here && adopt::is_of_this_life(leader)) {
        let ours = look.marked().iter().filter(|(id, _)| *id == tree.process_id);
        ours.for_each(|(_, pid)| search.add(*pid));
    }
    search.descend();
    search.found
}

/// A walk down the process tree.
struct Search {
    /// No member is older than this, clock ticks since boot.
    oldest: u64,
    seen: HashSet<u32>,
    found: Vec<Member>,
}

impl Search {
    fn add(&mut self, pid: u32) {
        if !self.seen.insert(pid) {
            return;
        }
        let Ok(stat) = stat::read_stat(pid) else { return };
        if stat.start_ticks >= self.oldest && stat.lives() {
            self.found.push(Member { pid, stat });
        }
    }

    /// Follow the children of everything found until nothing new appears.
    fn descend(&mut self) {
        let mut next = 0;
        let mut children = Vec::new();
        while let Some(member) = self.found.get(next).copied() {
            next += 1;
            stat::children_of(member.pid, member.stat.threads, &mut children);
            children.drain(..).for_each(|child| self.add(child));
        }
    }
}
