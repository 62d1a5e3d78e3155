"""Public data sets as recipes: what each is good for, where it is, and how it becomes input of `prepare`."""
