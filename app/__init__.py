"""Percorso: lifecycle marketing automation.

One event's way through the house, and where each stage lives:

    receive   api/receiving.py         an HTTP request is authenticated, validated, answered
    record    events/record.py         the event is stored once; contact and booking are brought up to date
    enrol     enrollments/enrol.py     entry rules decide who starts, is refreshed, leaves
    advance   enrollments/advance.py   due passages take their steps (journey/advance.py decides, this one persists)
    gate      messages/gate.py         may this person get this message now? (consent/rules.py decides)
    compose   messages/compose.py      template version + language + facts become subject, HTML, text, headers
    deliver   delivery/deliver.py      leased, judged once more, handed to a provider
    track     delivery/track.py        what came back becomes events again

Stages do not call the next one: they commit rows and signal a name (queues.py); a worker (worker/) runs the stage.
"""
