//! The one integration binary: a file for each subject, each test a sentence about what a user sees.
