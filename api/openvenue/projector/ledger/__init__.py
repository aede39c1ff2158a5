"""The ledger: instruments, accounts, orders, executions and positions."""
