"""Who may ask what: API keys, and what a request may do with one."""
