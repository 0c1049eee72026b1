//! A run and its descendants: how to reach every one of them.
//!
//! Owns no state: each question is asked of the kernel anew, once for all trees of a batch. `find` says who belongs
//! to a tree.

mod find;

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;

use find::{Batch, Depth, Member};

use super::cgroup::Cgroup;
use super::{stat, sys};
use crate::platform::Tree;
use crate::spec::StopSignal;

/// Rounds of finding and killing before what is left is the caller's to report. Each round reaches what was born
/// during the one before.
const KILL_ROUNDS: usize = 8;

/// Pids of the members of each tree, its leader first if it lives. One look serves them all.
pub(crate) fn members(trees: &[Tree]) -> Vec<Vec<u32>> {
    let mut batch = Batch::over(trees.iter());
    trees.iter().map(|tree| members_of(tree, &mut batch)).collect()
}

/// Nobody there is believed only after a look in which nobody moved: one that forks and ends all the time is between two
/// looks at any moment.
fn members_of(tree: &Tree, batch: &mut Batch) -> Vec<u32> {
    for _ in 1..KILL_ROUNDS {
        let found = batch.find(tree, Depth::Usual);
        if !found.is_empty() || !batch.has_moved() {
            return found.iter().map(|member| member.pid).collect();
        }
        batch.look_anew();
    }
    batch.find(tree, Depth::Usual).iter().map(|member| member.pid).collect()
}

/// Send a signal to the leader alone; whether it still lived to get it.
pub(crate) fn signal_leader(tree: &Tree, signal: StopSignal) -> io::Result<bool> {
    let leader = &tree.leader;
    let at_pid = stat::read_stat(leader.pid).ok().filter(|_| stat::is_of_this_boot(leader));
    let alive = at_pid.filter(|stat| stat.start_ticks == leader.start_ticks && stat.lives());
    alive.map_or(Ok(false), |stat| signal_member(Member { pid: leader.pid, stat }, signal))
}

/// Send each tree its signal, in this order; returns how many processes of each got it.
pub(crate) fn signal(orders: &[(Tree, StopSignal)]) -> Vec<io::Result<usize>> {
    let mut batch = Batch::over(orders.iter().map(|(tree, _)| tree));
    let mut reaches: Vec<_> = orders.iter().map(|_| Reached::default()).collect();
    for round in 0..KILL_ROUNDS {
        let mut again = false;
        for ((tree, signal), reached) in orders.iter().zip(&mut reaches) {
            let kills = *signal == StopSignal::KILL;
            if !reached.is_done {
                reached.is_done = !send(tree, *signal, &mut batch, reached) || !kills;
                again |= !reached.is_done;
            }
        }
        if !again || round + 1 == KILL_ROUNDS {
            break;
        }
        batch.look_anew();
    }
    reaches.into_iter().map(|reached| reached.refused.map_or(Ok(reached.pids.len()), Err)).collect()
}

/// How far a signal has come in one tree.
#[derive(Default)]
struct Reached {
    pids: HashSet<u32>,
    refused: Option<io::Error>,
    is_done: bool,
}

/// Signal the members that have not been reached yet; whether there were any.
fn send(tree: &Tree, signal: StopSignal, batch: &mut Batch, reached: &mut Reached) -> bool {
    let depth = if signal == StopSignal::KILL { Depth::All } else { Depth::Usual };
    if let Some(group) = tree.cgroup.as_deref().filter(|_| batch.is_of_this_boot(tree))
        && send_to_group(Cgroup::at(group), signal, reached)
    {
        return true;
    }
    // Opened before the leader is looked at: if it is found to be the leader then, the descriptor is bound to it.
    let pidfd = sys::pidfd_open(tree.leader.pid).ok();
    let fresh: Vec<_> =
        batch.find(tree, depth).into_iter().filter(|found| !reached.pids.contains(&found.pid)).collect();
    // The group first and at once, so that none of it can fork between one signal and the next.
    let leader = pidfd.filter(|_| fresh.first().is_some_and(|first| first.pid == tree.leader.pid));
    let group_reached =
        leader.is_some_and(|pidfd| sys::signal_group(pidfd.as_fd(), tree.leader.pid, signal.number()).is_ok());
    for member in &fresh {
        if group_reached && member.stat.group == tree.leader.pid {
            reached.pids.insert(member.pid);
            continue;
        }
        match signal_member(*member, signal) {
            Ok(true) => {
                reached.pids.insert(member.pid);
            }
            Ok(false) => {}
            Err(error) => reached.refused = Some(error),
        }
    }
    !fresh.is_empty() || batch.has_moved()
}

/// What the kernel can do to a run's own group as a whole: kill, stop and let go on. Whether that is all there is to do to
/// its members, and there were new ones.
fn send_to_group(group: Cgroup<'_>, signal: StopSignal, reached: &mut Reached) -> bool {
    let act = match signal {
        StopSignal::KILL => Cgroup::kill,
        StopSignal::STOP => |group: Cgroup<'_>| group.freeze(true),
        StopSignal::CONT => {
            // One that was stopped by a signal, and not by us, needs the signal as well.
            let _ = group.freeze(false);
            return false;
        }
        _ => return false,
    };
    let before = reached.pids.len();
    let members = group.members();
    if members.is_empty() || act(group).is_err() {
        return false;
    }
    reached.pids.extend(members);
    reached.pids.len() > before
}

/// Make every thread of every member less favoured; returns how many processes.
pub(crate) fn throttle(tree: &Tree) -> io::Result<usize> {
    let mut reached = 0;
    if tree.cgroup.as_deref().is_some_and(|group| Cgroup::at(group).give_way()) {
        return Ok(members(std::slice::from_ref(tree)).concat().len());
    }
    for member in Batch::over(std::iter::once(tree)).find(tree, Depth::Usual) {
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
