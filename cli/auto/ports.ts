import type { Missing } from '../../measure/replan/index.js';
import type { Journal } from '../../placement/auto/index.js';
import type { PlacementDocument } from '../../placement/document/index.js';
import type { Measured, Replanned } from '../../placement/replan/index.js';

/** What was measured of the placement in force, and what is proposed. */
export interface Look {
  readonly placement: PlacementDocument;
  readonly measured: Measured;
  readonly found: Replanned;
  /** When the file of the placement in force was written, in milliseconds since 1970. */
  readonly appliedAtMs: number;
}

/** A step of an automatic change, or a reason for none, with its evidence; a line of the audit file. */
export interface AuditEvent {
  readonly event:
    | 'watching'
    | 'held'
    | 'resumed'
    | 'started'
    | 'abandoned'
    | 'switched'
    | 'kept'
    | 'unverified'
    | 'refuted'
    | 'retried'
    | 'rolled-back'
    | 'interrupted';
  /** Versions of the old and of the new placement. */
  readonly from?: string;
  readonly to?: string;
  /** For people. */
  readonly text: string;
  readonly evidence?: Readonly<Record<string, unknown>>;
}

/** What an automatic change asks of the world, and the files beside the placement that it writes. */
export interface Ports {
  /** Milliseconds since 1970. */
  now(): number;
  /** Returns at once if the process is to end. */
  sleep(ms: number): Promise<void>;
  isEnding(): boolean;
  /** Measures the placement in force and proposes another one if it has drifted. */
  look(): Promise<Look>;
  /** Measures the placement in force from a time on; milliseconds since 1970. */
  measure(sinceMs: number): Promise<Measured>;
  /** Version of the placement in force; words where there is none, or where it cannot be read. */
  inForce(): string;
  /** Servers and workers of a placement that do not serve now, those of another one's replicas left out. Rejects if Temporal does not answer. */
  missing(placement: PlacementDocument, except?: PlacementDocument): Promise<readonly Missing[]>;
  /** How a person gets what a placement's servers need. */
  advice(placement: PlacementDocument): string;
  /** Makes a placement that of new runs. */
  apply(placement: PlacementDocument): void;
  /** Makes a placement that was in force before that of new runs again. */
  restore(placement: PlacementDocument): void;
  /** What a person has to look at before anything else is changed; undefined: nothing. */
  waitsFor(): string | undefined;
  /** Lets nothing else be changed until a person has looked at this. */
  waitFor(why: string): void;
  readJournal(): Journal;
  writeJournal(journal: Journal): void;
  tell(event: AuditEvent): void;
  /** An error that does not end the watch. */
  complain(error: unknown): void;
}
