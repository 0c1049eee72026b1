//! Who belongs to a tree: the search itself, and what is looked up once for all trees of a batch.
//!
//! Owns what it looked up, for one batch. Only `tree` enters. The rules, in order: the members of the run's own group;
//! descent from the leader while it lives; among the orphans that went to the keeper, those with the tag, the session or
//! the marker of the run; and, when orphans may have gone to somebody else and the leader is dead or all must be found,
//! one look through all processes for tag and marker. A process older than the leader is never a member.

use std::collections::{HashMap, HashSet};

use super::super::cgroup::Cgroup;
use super::super::stat::{self, Stat};
use super::super::{adopt, scan, tag};
use crate::platform::Tree;
use crate::spec::ProcessId;

/// A process that belongs to the tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) pid: u32,
    pub(super) stat: Stat,
}

/// How far to look for members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// A run with a group is its group. Without one, orphans that went to somebody else are looked for only once the
    /// leader is gone: it takes a look at every process.
    Usual,
    /// Everywhere, as far as orphans may have gone to somebody else, or members have left their group.
    All,
}

/// What holds for all trees of a batch, looked up when it is first needed.
pub(super) struct Batch {
    boot_id: Option<String>,
    oldest: u64,
    keepers: HashMap<u32, Option<Keeper>>,
    /// All processes that are not older than the oldest leader, by what ties them to a run.
    everybody: Option<Ties>,
    /// Whether a candidate had gone when it was looked at: its child may not have been listed yet.
    moved: bool,
}

/// The process that adopts orphans, and its children.
struct Keeper {
    start_ticks: u64,
    children: Ties,
}

/// Processes by what ties them to a run.
#[derive(Default)]
struct Ties {
    by_tag: HashMap<u64, Vec<u32>>,
    /// Of those without a tag.
    by_session: HashMap<u32, Vec<u32>>,
    /// Of those without a tag.
    by_marker: HashMap<ProcessId, Vec<u32>>,
}

impl Ties {
    fn add(&mut self, pid: u32) {
        if let Some(tag) = tag::read(pid) {
            return self.by_tag.entry(tag).or_default().push(pid);
        }
        if let Ok(stat) = stat::read_stat(pid) {
            self.by_session.entry(stat.session).or_default().push(pid);
        }
        if let Some(id) = scan::marker_of(pid) {
            self.by_marker.entry(id).or_default().push(pid);
        }
    }

    /// Those of this run. `session` is its session, unless somebody else may have that by now.
    fn of(&self, id: &ProcessId, session: Option<u32>) -> impl Iterator<Item = u32> {
        let tagged = self.by_tag.get(&tag::of(id));
        let marked = self.by_marker.get(id);
        let here = session.and_then(|session| self.by_session.get(&session));
        [tagged, marked, here].into_iter().flatten().flatten().copied()
    }
}

impl Batch {
    pub(super) fn over<'a>(trees: impl Iterator<Item = &'a Tree>) -> Self {
        let oldest = trees.map(|tree| tree.leader.start_ticks).min().unwrap_or_default();
        Self { boot_id: stat::boot_id().ok(), oldest, keepers: HashMap::new(), everybody: None, moved: false }
    }

    /// Forget who was there: processes are born and die between two rounds.
    pub(super) fn look_anew(&mut self) {
        self.keepers.clear();
        self.everybody = None;
        self.moved = false;
    }

    /// Whether somebody moved while this was looked at: then nobody found does not mean that nobody is there.
    pub(super) fn has_moved(&self) -> bool {
        self.moved
    }

    pub(super) fn is_of_this_boot(&self, tree: &Tree) -> bool {
        self.boot_id.as_ref().is_some_and(|boot| *boot == tree.leader.boot_id)
    }

    /// Every member that lives now, the leader first if it does.
    pub(super) fn find(&mut self, tree: &Tree, depth: Depth) -> Vec<Member> {
        let leader = &tree.leader;
        if !self.is_of_this_boot(tree) {
            return Vec::new();
        }
        let mut search = Search { oldest: leader.start_ticks, ..Search::default() };
        let at_pid = stat::read_stat(leader.pid).ok();
        let leader_lives = at_pid.is_some_and(|stat| stat.start_ticks == leader.start_ticks && stat.lives());
        if let Some(stat) = at_pid.filter(|_| leader_lives) {
            search.know(leader.pid, stat);
        }
        if let Some(group) = &tree.cgroup {
            let members = Cgroup::at(group).members();
            // A leader elsewhere was never put into its group, or has the right to leave it: then that says nothing.
            let holds_all = !leader_lives || members.contains(&leader.pid);
            members.into_iter().for_each(|pid| search.add(pid));
            if depth == Depth::Usual && holds_all {
                return search.found;
            }
        }
        // The pid names the session as well, unless somebody else has it by now.
        let session = at_pid.is_none_or(|stat| stat.start_ticks == leader.start_ticks).then_some(leader.pid);
        let keeper = self.keeper(tree.keeper).filter(|keeper| keeper.start_ticks <= leader.start_ticks);
        let orphans_are_kept = keeper.is_some();
        if let Some(keeper) = keeper {
            keeper.children.of(&tree.process_id, session).for_each(|pid| search.add(pid));
        }
        if !orphans_are_kept && (!leader_lives || depth == Depth::All) {
            self.everybody().of(&tree.process_id, None).for_each(|pid| search.add(pid));
        }
        search.descend();
        self.moved |= search.moved;
        search.found
    }

    /// The process with this pid if it adopts orphans. Another process than this one does if it is a keeper at all.
    fn keeper(&mut self, pid: u32) -> Option<&Keeper> {
        self.keepers.entry(pid).or_insert_with(|| look_at_keeper(pid)).as_ref()
    }

    fn everybody(&mut self) -> &Ties {
        self.everybody.get_or_insert_with(|| {
            let mut ties = Ties::default();
            scan::young(self.oldest).for_each(|pid| ties.add(pid));
            ties
        })
    }
}

fn look_at_keeper(pid: u32) -> Option<Keeper> {
    let is_self = pid == std::process::id();
    if pid == 0 || (is_self && !adopt::is_subreaper()) {
        return None;
    }
    let stat = stat::read_stat(pid).ok().filter(|stat| stat.lives())?;
    let (mut pids, mut children) = (Vec::new(), Ties::default());
    if is_self {
        pids = adopt::adopted_children();
    } else {
        stat::children_of(pid, stat.threads, &mut pids);
    }
    pids.into_iter().for_each(|pid| children.add(pid));
    Some(Keeper { start_ticks: stat.start_ticks, children })
}

/// A walk down the process tree.
#[derive(Default)]
struct Search {
    /// No member is older than this, clock ticks since boot.
    oldest: u64,
    seen: HashSet<u32>,
    found: Vec<Member>,
    /// Whether one that was listed had gone.
    moved: bool,
}

impl Search {
    fn know(&mut self, pid: u32, stat: Stat) {
        if self.seen.insert(pid) {
            self.found.push(Member { pid, stat });
        }
    }

    fn add(&mut self, pid: u32) {
        if !self.seen.insert(pid) {
            return;
        }
        match stat::read_stat(pid) {
            Ok(stat) if stat.start_ticks >= self.oldest && stat.lives() => self.found.push(Member { pid, stat }),
            Ok(stat) => self.moved |= stat.start_ticks >= self.oldest,
            Err(_) => self.moved = true,
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
