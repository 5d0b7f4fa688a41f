import type { Json } from '../json.js';
import type { ChannelRef, EntryRef, StageCall } from './stage-call.js';

/*
 * Calls by which the workflow of a run reads and writes channels for an `each` whose items it runs itself: offsets enter its history, and
 * its items' results, but no entries.
 */

/** What workers need to refuse a call that they do not know, and to name its step. The kind is `ENTRY_KIND`. */
type Named = Pick<StageCall, 'pipeline' | 'version' | 'tenant' | 'stage' | 'kind' | 'model' | 'with' | 'retry'>;

/** Behind which entry of a stream a reader goes on. */
export interface ChannelPosition {
  readonly number: number;
  /** Hash of the entries before it. Absent at the beginning. */
  readonly hash?: string;
  readonly generation?: number;
}

/** Second argument of the activity that waits until a channel has more entries, or has ended; the first is empty. */
export interface ChannelWait extends Named {
  readonly waitFor: {
    readonly channel: ChannelRef;
    /** Path of the step that reads it. */
    readonly reader: string;
    readonly after: ChannelPosition;
    /** Entries at once. */
    readonly most: number;
    /** Entries from this number on are still needed: they are not trimmed. */
    readonly needed: number;
    /** The producer has ended: a channel that is not there, or has no end, is lost. */
    readonly there?: true;
    /** The interpreter computes with the entries. Absent: it needs no values. */
    readonly values?: true;
  };
}

/** An entry that was waited for. */
export interface FoundEntry extends Pick<EntryRef, 'number' | 'digest'> {
  readonly value?: Json;
}

export interface MoreEntries {
  /** None if the stream has ended, or if nothing has come for a minute. Sentences without words are none. */
  readonly entries: readonly FoundEntry[];
  readonly next: ChannelPosition;
  readonly ended?: true;
}

/** Second argument of the activity that commits values to the channel `entries` of a step; the first is `{ values }`. */
export interface ChannelCommit extends Named {
  readonly commit: {
    /** Path of the step that writes it, as channels are named by it (`channelPath`). */
    readonly path: string;
    /** Number of the first value. */
    readonly from: number;
    /** These are the last ones. */
    readonly end?: true;
    readonly runMs: number;
  };
}

/** How many entries the channel has; fewer than `from` if the store has lost some, and nothing was committed. */
export interface Committed {
  readonly count: number;
}
