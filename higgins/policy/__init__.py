"""Who may do what. Knows oslo.policy; knows no HTTP and no store."""
