//! The repository that the demo starts with: a small program whose tests need nothing but a shell and awk. For each
//! story it has something that its issue rightly asks for.

/// The demo's `.github/pairbot.yml`; it is part of [`demo_repository`].
pub const DEMO_POLICY: &str = include_str!("../demo-repository/.github/pairbot.yml");

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../demo-repository/", $path)))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    ".github/pairbot.yml",
    "AGENTS.md",
    "README.md",
    "bin/invoice",
    "lib/items.awk",
    "lib/money.awk",
    "lib/price.awk",
    "lib/print.awk",
    "run-tests.sh",
    "tests/check.sh",
    "tests/data/broken.csv",
    "tests/data/credit.csv",
    "tests/data/school.csv",
    "tests/data/server.csv",
    "tests/test-bad-input.sh",
    "tests/test-credit.sh",
    "tests/test-csv.sh",
    "tests/test-text.sh",
];

/// Every file as path and content, in the order of their paths.
pub fn demo_repository() -> Vec<(&'static str, &'static str)> {
    FILES.to_vec()
}

/// The first line of a file of the demo repository that contains `needle`.
pub(crate) fn line_of(path: &str, needle: &str) -> Option<u32> {
    let (_, content) = FILES.iter().find(|(name, _)| *name == path)?;
    let at = content.lines().position(|line| line.contains(needle))?;
    u32::try_from(at).ok()?.checked_add(1)
}
