//! Which tables are durable.
//!
//! Patterns of names decide: a table is durable if one of them matches and none that begins with `!` does. A name that a
//! published client made up, because its program gave none, is temporary: it is durable only if a pattern other than `*`
//! matches it. Such names are 21 letters.

/// Characters of a name that a published client makes up.
const ANONYMOUS_NAME: usize = 21;

/// The patterns of the names of durable tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DurableRules {
    patterns: Vec<String>,
}

impl Default for DurableRules {
    /// All tables that have a name.
    fn default() -> Self {
        DurableRules { patterns: vec!["*".to_owned()] }
    }
}

impl DurableRules {
    /// Rules from patterns: `*` stands for any characters, `?` for one, and `!` before a pattern excludes.
    pub fn new(patterns: Vec<String>) -> DurableRules {
        DurableRules { patterns }
    }

    /// Excludes names.
    pub fn exclude<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.patterns.extend(names.into_iter().map(|name| format!("!{name}")));
    }

    /// Whether a table of this name is durable.
    pub fn is_durable(&self, name: &str) -> bool {
        let excludes = |pattern: &&String| pattern.strip_prefix('!').is_some_and(|of| matches(of, name));
        if self.patterns.iter().any(|pattern| excludes(&pattern)) {
            return false;
        }
        let is_anonymous = is_anonymous(name);
        self.patterns.iter().any(|pattern| {
            !pattern.starts_with('!') && (!is_anonymous || pattern != "*") && matches(pattern, name)
        })
    }
}

/// Whether a name has the form of those that published clients make up.
pub fn is_anonymous(name: &str) -> bool {
    name.len() == ANONYMOUS_NAME && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Whether a pattern matches a whole name. Cost: O(pattern · name).
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut in_name) = (0, 0);
    // Where the last `*` was, and how much of the name it takes.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(&expected) if expected == '?' || expected == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match star {
                Some((after, taken)) => {
                    star = Some((after, taken + 1));
                    (at, in_name) = (after + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_decide_and_exclusions_win() {
        let rules = |patterns: &[&str]| {
            DurableRules::new(patterns.iter().map(|pattern| pattern.to_string()).collect())
        };
        assert!(DurableRules::default().is_durable("trades"));
        assert!(!DurableRules::default().is_durable("aZbcdefghijklmnopqrst"));
        assert!(rules(&["aZ*"]).is_durable("aZbcdefghijklmnopqrst"));
        assert!(!rules(&[]).is_durable("trades"));
        let some = rules(&["*", "!scratch_*", "!*.tmp"]);
        assert!(some.is_durable("trades") && some.is_durable("scratch"));
        assert!(!some.is_durable("scratch_1") && !some.is_durable("a.tmp"));
        assert!(rules(&["a*b*c"]).is_durable("aXbYbZc") && !rules(&["a*b*c"]).is_durable("aXbYbZ"));
        assert!(rules(&["t?"]).is_durable("té") && !rules(&["t?"]).is_durable("t"));
    }
}
