//! Tests of the child on descriptors of ours, as a holder uses it.

use std::io::Read;
use std::os::fd::AsRawFd;

use super::*;
use crate::platform::LaunchPlan;
use crate::platform::linux::prepare::Preparer;
use crate::platform::linux::sys;
use crate::spec::ProcessId;

/// Make a child on a thread of its own, on which signals can be blocked.
fn start_apart(prepared: Prepared) -> Result<Born, Refused> {
    let maker = std::thread::spawn(move || {
        sys::block_all_signals();
        start(&prepared, &mut Stack::default())
    });
    maker.join().expect("the thread that makes the child does not panic")
}

fn prepared(script: &str) -> Prepared {
    let argv = ["sh", "-c", script].map(str::to_owned).into();
    let plan = LaunchPlan::new(ProcessId::new("p"), "/bin/sh".into(), argv, "/".into());
    Preparer::default().prepare(&plan).expect("a plain plan")
}

fn read(mut pipe: std::io::PipeReader) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).expect("a pipe can be read to its end");
    text
}

#[test]
fn output_goes_to_descriptors_of_ours_and_the_child_has_no_others() {
    let (out, out_end) = std::io::pipe().unwrap();
    let (err, err_end) = std::io::pipe().unwrap();
    let mut prepared = prepared("echo out; echo err >&2; ls /proc/$$/fd");
    // The higher one first: neither may be lost while the other is put in its place.
    (prepared.stdout, prepared.stderr) =
        (Output::Descriptor(err_end.as_raw_fd()), Output::Descriptor(out_end.as_raw_fd()));
    let born = start_apart(prepared).unwrap();
    drop((out_end, err_end));
    assert_eq!(read(out), "err\n");
    // 10 is the shell's own, if it has one.
    let told = read(err);
    assert!(["out\n0\n1\n2\n", "out\n0\n1\n10\n2\n"].contains(&told.as_str()), "{told}");
    sys::reap(sys::Child::Pid(born.pid), true).unwrap();
}

#[test]
fn one_descriptor_may_be_both_outputs_and_one_output_may_be_a_file() {
    let (out, end) = std::io::pipe().unwrap();
    let mut both = prepared("echo out; echo err >&2");
    (both.stdout, both.stderr) = (Output::Descriptor(end.as_raw_fd()), Output::Descriptor(end.as_raw_fd()));
    let mut one = prepared("echo lost; echo kept >&2");
    one.stderr = Output::Descriptor(end.as_raw_fd());
    for prepared in [both, one] {
        let born = start_apart(prepared).unwrap();
        sys::reap(sys::Child::Pid(born.pid), true).unwrap();
    }
    drop(end);
    assert_eq!(read(out), "out\nerr\nkept\n");
}

#[test]
fn a_descriptor_that_is_not_open_is_told_as_the_step() {
    let mut prepared = prepared("true");
    prepared.stderr = Output::Descriptor(1_000_000);
    let refused = start_apart(prepared).map(|born| born.pid).unwrap_err();
    assert_eq!((refused.step, refused.source.raw_os_error()), (Step::ErrorOutput, Some(libc::EBADF)));
}

#[test]
fn a_step_is_known_by_its_number() {
    for (number, step) in Step::ALL.into_iter().enumerate() {
        assert_eq!((step as usize, Step::of_number(number as i32)), (number, Some(step)));
    }
    assert_eq!(Step::of_number(-1), None);
    assert_eq!(Step::of_number(Step::ALL.len() as i32), None);
}

#[test]
fn a_cgroup_that_cannot_be_joined_is_told() {
    for (path, errno) in [(c"/nowhere/cgroup.procs", libc::ENOENT), (c"/dev/full", libc::ENOSPC)] {
        let mut prepared = prepared("true");
        prepared.cgroup = Some(path.to_owned());
        let refused = start_apart(prepared).map(|born| born.pid).unwrap_err();
        assert_eq!((refused.step, refused.source.raw_os_error()), (Step::Cgroup, Some(errno)));
    }
}
