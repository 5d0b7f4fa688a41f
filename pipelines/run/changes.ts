/**
 * Changes of what a workflow commands in a given place, since release 0.3.0 (decision 0120). Each is a patch of Temporal: its id stands in
 * the histories of the runs that took it, so it is neither renamed nor used for another change, and removed only when no run from
 * before it can be open.
 *
 * - `waits-are-told`: a run signals its delivery that a wait for a person has begun, and the delivery sends an event. 0.3.0 did neither.
 * - `tools-may-lack`: an agent goes on without an MCP server whose tools cannot be listed. In 0.3.0 its candidate failed.
 * - `lost-streams-are-collected`: a stage whose stream was lost goes on with the collected value. In 0.3.0 its next candidate began at once.
 * - `sessions-approve`: before a person is asked about a call of a tool, approvals of the session are looked for. 0.3.0 asked at once.
 * - `approvals-are-of-one-tool`: an approval with the scope `run` covers calls of the tool that it was given for. In 0.3.0 it covered those of
 *   another candidate's tool of the same name too.
 * - `handoffs-are-turns`: an agent whose team has no tools ends at `maxTurns`. Before, its members could hand over to each other without end.
 * - `eaches-stream-on-queues`: an `each` that the workflow runs reads and writes streams. Before, it took the collected list.
 * - `notes-by-worth`: notes of a conversation that an agent has shortened lose what is worth least first. Before, they were cut and lost the
 *   oldest first; whether a further summary is written depends on their length.
 * - `notes-set-aside`: sentences without room among the notes are kept beside the summary, and sent again when a prompt asks about them. Before,
 *   they were lost; whether a conversation has to be shortened depends on what is sent.
 * - `waits-end-as-away`: a stage whose time ends while it looks for a server that is away fails as that server being away. Before, it failed
 *   with `STAGE_TIMEOUT`, after which rungs that serve for servers that are away are left out.
 * - `lost-attempts-count`: an attempt that was lost with its worker counts as a call although no worker takes the next one. Before, a queued
 *   stage was given to its next queue with all its attempts, and a foreign call counted as never made.
 * - `recorded-outcomes-are-taken`: where Temporal has not heard how an attempt ended and no other one is made, the record of the run is asked
 *   before the stage fails. Before, it failed although its call had been made.
 * - `ended-calls-end-their-stage`: a stage with effects fails with `RECORD_GONE` if such an outcome is there and cannot be fetched. Before, in no
 *   release, its next candidate was called.
 * - `large-commands-leave-room`: the commands of one workflow task have 1.5 MB together, counted whole, starts of child runs and calls on further queues
 *   among them. Before, inputs of calls had 3 MB, and nothing else was counted.
 * - `next-history-holds-all`: a run that has stopped for a new history, which could not begin with what the run has, goes on in this one, unless that
 *   must not grow much more. Before, it was blocked, or failed.
 * - `races-end-in-time`: a loop in a race, which does not go on in a new history, fails with `LIMIT_REACHED` when this one is nearly over. Before, it went on
 *   until Temporal ended the run.
 * - `pending-work-waits`: a run that has 1,500 activities or child runs under way begins further ones, and items of its loops, as those end. Before, it began all,
 *   and was blocked beyond 2,000.
 * - `system-messages-stay`: system messages of a conversation that an agent shortens stay as they are. Before, they were summed up like turns;
 *   whether a further summary is written depends on what is left.
 * - `interrupted-loops-go-on`: a loop of an interrupted segment that has stopped on its queues for a new history goes on there behind what has ended.
 *   Before, each history began the loop at its start, in a segment.
 * - `diverged-runs-fail`: a resumed run fails with `RESUME_DIVERGED` where a call that has succeeded would be made with another input. Before, an `each` with
 *   `onFailure`, a race, an optional stage and an agent's summary went on without its result.
 * - `pinned-calls-end-in-time`: a call of a function with a version fails after `timeout.queue`, and with an alternative after its stage's patience
 *   if no worker has the version. Before, it waited until the total timeout.
 * - `ended-items-stay`: in an item whose entry was lost, what is under way ends first. An `each` whose stream was lost fails with `RESUME_DIVERGED` where the
 *   list has another piece at the place of an item that may have had effects, and begins any other such item under a path of its own. Before, what was under way
 *   was cancelled and made again, and each item began again under its path, where it found what had been made of the first piece.
 * - `told-waits-leave-room`: signals that tell of waits count among the commands of a workflow task, a run sends 500, a child run 100 at most, and goes on in a new
 *   history once they have arrived. Before, they were neither counted nor limited, which blocked a run with many at once, and the last ones were lost there.
 * - `session-results-stay`: long results of a session have names that are unique in it, and later runs read on in them. Before, each run called its own
 *   `r1`, `r2`; what a model reads by such a name is a call.
 * - `shortened-results-are-kept`: results that an agent has kept apart to shorten its conversation can be read in the same turn, each under its own name, by
 *   the tool that their notes name. Before, from the next turn on; some that were kept after the server had rejected a call had the names of others and no
 *   call of their own, and notes named another tool, whose longer name counts where it is decided whether the conversation fits.
 * - `guardrails-withdraw`: what a guardrail asks about a call is withdrawn when the agent has failed and another candidate follows. Before, that one began when
 *   somebody had decided, or the wait was over.
 * - `histories-are-counted`: loops of runs with local activities stop for a new history after so many calls. Before, when Temporal suggests it, at a length that a replay may not see.
 */
export type Change =
  | 'waits-are-told'
  | 'tools-may-lack'
  | 'lost-streams-are-collected'
  | 'sessions-approve'
  | 'approvals-are-of-one-tool'
  | 'handoffs-are-turns'
  | 'eaches-stream-on-queues'
  | 'notes-by-worth'
  | 'notes-set-aside'
  | 'waits-end-as-away'
  | 'lost-attempts-count'
  | 'recorded-outcomes-are-taken'
  | 'ended-calls-end-their-stage'
  | 'large-commands-leave-room'
  | 'next-history-holds-all'
  | 'races-end-in-time'
  | 'pending-work-waits'
  | 'system-messages-stay'
  | 'interrupted-loops-go-on'
  | 'diverged-runs-fail'
  | 'pinned-calls-end-in-time'
  | 'ended-items-stay'
  | 'told-waits-leave-room'
  | 'session-results-stay'
  | 'shortened-results-are-kept'
  | 'guardrails-withdraw'
  | 'histories-are-counted';
