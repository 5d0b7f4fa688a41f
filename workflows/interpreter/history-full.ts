import { StageError } from '../../pipelines/run/stage-error.js';

/**
 * A loop in a race fails because the run’s history is nearly over (`LIMIT_REACHED`). What is around the loop must not go on without it: its value
 * would be missing, and there is no room for what else it would call.
 */
export class HistoryFull extends StageError {
  /** @param race its id */
  constructor(race: string) {
    super(
      'LIMIT_REACHED',
      `"${race}" has filled the run’s history, and a race does not continue in a new one; run its loops as child runs, or make fewer calls in it`,
      { stage: race },
    );
  }
}
