//! Reading logs: lines split and stamped, from one output and from two that are merged.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wasmvisor::logs::{Lines, LogStream, Merge, Range};

/// Size of each output.
const BYTES: usize = 64 << 20;
/// Bytes that one look at an output finds new.
const LOOK: u64 = 16 << 10;

/// An output of lines of `length` bytes with a stamp for every look.
fn output(directory: &Path, name: &str, length: usize) -> PathBuf {
    let path = directory.join(name);
    let line = [vec![b'x'; length - 1], vec![b'\n']].concat();
    std::fs::write(&path, line.repeat(BYTES / length)).expect("a temporary directory takes files");
    let stamps = (1..=BYTES as u64 / LOOK).flat_map(|look| [look * LOOK, look << 1].map(u64::to_le_bytes)).flatten();
    let beside = directory.join(format!("{name}.stamps"));
    std::fs::write(beside, stamps.collect::<Vec<_>>()).expect("a temporary directory takes files");
    path
}

fn read(files: &[PathBuf]) -> u64 {
    let streams = [LogStream::Stdout, LogStream::Stderr];
    let open = |path: &PathBuf| Lines::new(path, Range::default()).expect("the file is there");
    let mut merge = Merge::new(streams.into_iter().zip(files.iter().map(open)).collect());
    let mut sum = 0;
    while let Some(entry) = merge.next(true).expect("the file can be read") {
        sum += entry.at.ms() + black_box(entry.text).len() as u64;
    }
    sum
}

fn logs(criterion: &mut Criterion) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let mut group = criterion.benchmark_group("logs");
    group.sample_size(10);
    for length in [64, 200] {
        let files = ["stdout.log", "stderr.log"].map(|name| output(home.path(), name, length));
        for count in [1, 2] {
            group.throughput(Throughput::Bytes((BYTES * count) as u64));
            let id = BenchmarkId::new(format!("{count} outputs"), format!("{length} bytes a line"));
            group.bench_function(id, |bencher| bencher.iter(|| read(&files[..count])));
        }
    }
    group.finish();
}

criterion_group!(benches, logs);
criterion_main!(benches);
