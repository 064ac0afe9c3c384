//! Counts passed and failed tests from the output of the test runners.

/// The counts of all runners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Reads the summaries of `cargo test`, node's test runner and pytest.
    pub fn read(output: &str) -> Tally {
        let mut tally = Tally::default();
        for line in output.lines() {
            let line = line.trim().trim_start_matches(['ℹ', '#', '=']).trim();
            if let Some(rest) = line.strip_prefix("test result: ") {
                tally.passed += number_before(rest, "passed");
                tally.failed += number_before(rest, "failed");
            } else if let Some(count) = line.strip_prefix("pass ") {
                tally.passed += count.parse().unwrap_or(0);
            } else if let Some(count) = line.strip_prefix("fail ") {
                tally.failed += count.parse().unwrap_or(0);
            } else if is_pytest_summary(line) {
                tally.passed += number_before(line, "passed");
                tally.failed += number_before(line, "failed") + number_before(line, "error");
            }
        }
        tally
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Reads a line such as `3 failed, 12 passed in 4.05s`.
fn is_pytest_summary(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_digit()) && line.contains(" in ") && line.ends_with(['s', '=', ')'])
}

/// The number before a word, or 0.
fn number_before(text: &str, word: &str) -> u64 {
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).collect();
    let at = words.iter().position(|found| found.trim_end_matches('s') == word);
    at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runner_is_understood() {
        let cases = [
            ("test result: ok. 12 passed; 1 failed; 2 ignored; 0 measured; finished in 0.01s", (12, 1)),
            ("ℹ tests 9\nℹ pass 7\nℹ fail 2\nℹ cancelled 0", (7, 2)),
            ("# tests 9\n# pass 9\n# fail 0", (9, 0)),
            ("12 passed in 4.05s", (12, 0)),
            ("========= 3 failed, 12 passed, 1 error in 4.05s =========", (12, 4)),
            ("nothing of interest in 3s", (0, 0)),
        ];
        for (output, (passed, failed)) in cases {
            assert_eq!(Tally::read(output), Tally { passed, failed }, "{output}");
        }
    }

    #[test]
    fn several_runs_add_up() {
        let output = "test result: ok. 1 passed; 0 failed;\nother\ntest result: ok. 2 passed; 3 failed;";
        assert_eq!(Tally::read(output).to_string(), "3 passed, 3 failed");
    }
}
