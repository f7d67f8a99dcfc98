"""The stages of a run, in the order of its way. One public function each: observe, then act.

`analyzing.analyze` -> `ready.admit` -> `patching.patch` -> `building.build` -> `publishing.publish` move one run and
answer with a `Step`. From AWAITING_DEPLOYMENT on runs move together: `deploying.plan` begins a deployment, and
`deploying.step` takes it through stop, start, verification and rollback. `wish.compose` says what the keeper should do
by all of this; `finding` knows the commit that runs.
"""
