import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client, Connection } from '@temporalio/client';
import { missingOf } from '../../measure/replan/index.js';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { writeJson } from '../../runtime/json-file.js';
import { limited } from '../../runtime/limited.js';
import { AppliedHistory } from '../../workers/applied-history.js';
import { connectorsOf } from '../../workers/connectors.js';
import type { Settings } from '../../workers/settings.js';
import { complain } from '../output.js';
import {
  type Measurement,
  measureInForce,
  measureOnce,
  modelsNow,
  type ReplanCommandOptions,
} from '../replan-measure.js';
import { besides, hold, reasonIn, tell } from './audit.js';
import { readJournal } from './journal-file.js';
import type { Ports } from './ports.js';

/** A timer of more fires at once. */
const LONGEST_SLEEP_MS = 2 ** 31 - 1;

/** Longest wait for Temporal and the servers, beside that between two readings of statistics: half a minute is usual under load. */
const ANSWER_MS = 120_000;

/** What is watched, and who hears of it. */
export interface Watched {
  readonly settings: Settings;
  readonly options: ReplanCommandOptions;
  /** The placement in force. */
  readonly file: string;
  readonly client: Client;
  /** Gets each measurement. */
  readonly told: (measurement: Measurement) => void;
  /** Gets what is measured of a change meanwhile, for which nothing is planned. */
  readonly seen?: (measured: Pick<Measurement, 'placement' | 'measured'>) => void;
}

export interface LiveOptions extends Watched {
  readonly signal: AbortSignal;
}

/** Automatic changes of a placement in its file, and of nothing else: servers and workers are asked only. */
export function livePorts({ settings, options, file, client, signal, told, seen }: LiveOptions): Ports {
  const history = new AppliedHistory(file);
  const { journal, audit, hold: holding } = besides(file);
  const { MILLRACE_TASK_QUEUE: taskQueue, TEMPORAL_NAMESPACE: namespace } = settings;
  const looking = { client, signal };
  // A measurement that never ends would keep a change that has broken something.
  const inTime = <T>(work: () => Promise<T>): Promise<T> => limited(options.look + ANSWER_MS, signal, work);
  return {
    now: () => Date.now(),
    sleep: (ms) => sleep(Math.min(ms, LONGEST_SLEEP_MS), undefined, { signal }).catch(() => undefined),
    isEnding: () => signal.aborted,
    async look() {
      const measurement = await inTime(() => measureOnce(settings, options, looking));
      if (!signal.aborted) told(measurement);
      return measurement;
    },
    async measure(sinceMs) {
      const { placement, measured } = await inTime(() => measureInForce(settings, options, looking, { sinceMs }));
      seen?.({ placement, measured });
      return measured;
    },
    inForce() {
      try {
        return history.current()?.version ?? 'none';
      } catch (error) {
        return `one that cannot be read (${messageOf(error)})`;
      }
    },
    missing: (placement, except) =>
      inTime(async () =>
        missingOf({
          ...{ placement, except, namespace, taskQueue, signal, connection: client.connection as Connection },
          ...{ models: await modelsNow(settings, placement, signal), connectors: connectorsOf(settings) },
        }),
      ),
    advice({ version }) {
      const proposal = path.join(options.out, `placement-${version}.json`);
      const command = `millrace apply ${proposal} --cluster ${options.cluster} --dry-run`;
      const then = 'add their endpoints to the models file in use, and start workers for their devices';
      return `"${command}", with the options of the last apply, writes the commands that start its servers: run them, ${then}`;
    },
    apply: (placement) => void history.apply(placement),
    restore: (placement) => history.restore(placement),
    waitsFor: () => reasonIn(holding),
    waitFor: (why) => hold(holding, why),
    readJournal: () => readJournal(journal),
    writeJournal: (value) => writeJson(journal, value),
    tell: (event) => tell(audit, event, options.json ?? false),
    complain(error) {
      const code = error instanceof MillraceError ? `${error.code}: ` : '';
      complain(`millrace: ${code}${messageOf(error)}`);
    },
  };
}
