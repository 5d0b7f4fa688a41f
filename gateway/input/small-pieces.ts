import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { TenantQueue } from '../../runtime/tenant-queue.js';
import { Blocks } from './blocks.js';

/** Pieces of a body below this size, in bytes, are small: Node takes a microsecond or two for each piece, whatever its size. */
const SMALL = 256;
/** Small pieces of a body that are passed on as they come: so many at once, and so many more in a millisecond. */
const AT_ONCE = 256;
const PER_MS = 0.1;
/** The share of each further piece in the time of the process, in milliseconds: five to ten times what it takes. */
const PIECE_MS = 0.01;

/** Of callers that are not known yet, or never will be. */
const UNKNOWN = '';

/** Pieces of a body that are held. */
interface Held {
  tenant: string;
  /** How many; 0 if they have been passed on, or the body is gone. */
  pieces: number;
  /** Passes them on, and has the body read on. */
  readonly goOn: () => void;
}

/** Bodies with too many small pieces go on in turn, tenant by tenant: all of them together may bring 100,000 pieces in a second. */
export class PieceTurns {
  readonly #now: () => number;
  readonly #waiting = new TenantQueue<Held>(({ pieces }) => pieces === 0);
  #restsUntil = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  /** @param now a clock in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  now(): number {
    return this.#now();
  }

  wait(held: Held): void {
    this.#waiting.push(held.tenant, held);
    this.#await();
  }

  #await(): void {
    if (this.#waiting.isEmpty) return;
    this.#timer ??= setTimeout(() => this.#next(), Math.max(1, this.#restsUntil - this.#now()));
  }

  #next(): void {
    this.#timer = undefined;
    const next = this.#waiting.shift();
    if (next) {
      // What it brings next is about as much as what it has brought.
      this.#restsUntil = this.#now() + next.pieces * PIECE_MS;
      next.goOn();
    }
    this.#await();
  }
}

/** One per process: all bodies share its event loop. */
const pieceTurns = new PieceTurns();

/** Tells a joined body whose it is. */
const joined = new WeakMap<Readable, (tenant: string) => void>();

/** The caller of a body is known now: until then it waits among those of unknown callers. */
export const joinFor = (tenant: string, body: Readable): void => joined.get(body)?.(tenant);

interface Joining {
  readonly turns?: PieceTurns;
  /** Where another body follows this one: it is not read while the end of this one waits. */
  readonly connection?: Pick<Socket, 'pause' | 'resume'>;
  /** Pieces that may be held; when there are more, `above` is called, once. */
  readonly most?: number;
  readonly above?: () => void;
}

/**
 * Puts small pieces of a body together before anybody reads them. Node calls `push` with each chunk of HTTP and each frame of HTTP/2, however
 * small it is, and stops reading when that returns false. (`pause` does not stop it before the stream’s limit of bytes is reached; until then
 * each of them is kept as a Buffer of 300 bytes.) A body that brings more of them than clients do is read on when it is its turn; what has come
 * with them, one or two reads of 64 KiB, is held here until then, and so is its end: a body that is over within one read waits as others do.
 */
export function joinSmallPieces(
  body: Readable,
  { turns = pieceTurns, connection, most = Number.POSITIVE_INFINITY, above }: Joining = {},
): void {
  const push = body.push.bind(body);
  const blocks = new Blocks();
  const held: Held = { tenant: UNKNOWN, pieces: 0, goOn };
  let ends = false;
  let allowed = AT_ONCE;
  let last = turns.now();

  function goOn(): void {
    held.pieces = 0;
    for (const block of blocks.take()) push(block);
    if (!ends) return;
    push(null);
    connection?.resume();
  }

  function end(): boolean {
    if (held.pieces === 0) return push(null);
    ends = true;
    // When this has returned, Node has the connection read on: the next request.
    queueMicrotask(() => {
      if (held.pieces > 0) connection?.pause();
    });
    return false;
  }

  /** Counts a piece. What passes has the body read on: so that none does between two turns, the number falls below zero. */
  function isAllowed(piece: Buffer): boolean {
    const now = turns.now();
    allowed = Math.min(AT_ONCE, allowed + (now - last) * PER_MS);
    last = now;
    if (piece.length < SMALL) allowed = Math.max(-AT_ONCE, allowed - 1);
    return allowed >= 0;
  }

  body.push = (piece: unknown, encoding?: BufferEncoding): boolean => {
    if (!Buffer.isBuffer(piece)) return end(); // null: nothing else is pushed
    if (isAllowed(piece) && held.pieces === 0) return push(body.readableFlowing ? piece : ownOf(piece), encoding);
    if (held.pieces === 0) turns.wait(held);
    blocks.push(piece);
    held.pieces += 1;
    if (held.pieces === most + 1) above?.();
    return false;
  };
  joined.set(body, (tenant) => {
    held.tenant = tenant;
    if (held.pieces > 0) turns.wait(held);
  });
  body.once('close', () => {
    held.pieces = 0;
    blocks.take();
  });
}

/** A frame of HTTP/2 is a view of the read that it came in, which it would hold for as long as nobody takes it. */
function ownOf(piece: Buffer): Buffer {
  if (piece.buffer.byteLength < 2 * piece.length) return piece;
  const own = Buffer.allocUnsafeSlow(piece.length);
  piece.copy(own);
  return own;
}
