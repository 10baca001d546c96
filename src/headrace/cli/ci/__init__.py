"""`headrace ci`: what a commit changes in the answers, for a pull request."""
