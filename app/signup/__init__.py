"""Getting in: sign-up forms, the confirmation from the mailbox, and what becomes of requests nobody confirms."""
