//! What can be set.

wasmvisor_policy_sdk::settings! {
    /// Settings of `command-allowlist`.
    pub struct Settings {
        /// Commands that may run: bare names (as found through PATH), absolute paths, or globs over the whole path
        /// (`?` and `*` stay within a directory, `**` does not). Compared after resolving links.
        allowed_commands: Vec<String> = words(&["node", "npm", "git"]);
        /// Commands that may not run even when they are allowed, written the same way.
        denied_commands: Vec<String> = Vec::new();
        /// File names of programs that do different things under different names. Of these the name that was asked for
        /// must be on the list as well.
        multi_call_programs: Vec<String> = words(&["busybox", "toybox", "coreutils"]);
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
