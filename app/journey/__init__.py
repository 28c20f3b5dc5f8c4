"""The pure core: what should happen next to one person in one workflow.

Plain Python on plain values. Nothing here opens a file, a socket or a database, reads an environment or asks what time
it is: text, facts and the moment come in as arguments, and what ought to happen goes out as values. Production, the
simulator, the editor's preview and the tests all run this same code.

Read in this order: `language` (a document becomes a checked model: `model`, `model_steps`, `checking`), `conditions`
(one line of the rule builder), `waits` and `schedules` (date arithmetic), `program` and `ops` (the model flattened),
`entry` (who starts, leaves, reaches the goal), `advance` (one person takes steps: a `walk`, on which `steps` act),
`simulate` (a story on a moving clock). `schema` and `reference` tell editors and readers what the models say.
"""
