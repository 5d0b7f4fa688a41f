import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, stat, unlink, utimes } from 'node:fs/promises';
import path from 'node:path';
import { messageOf } from '../../../../pipelines/errors.js';
import { limited } from '../../../../runtime/limited.js';

/** Where Linux keeps POSIX shared memory: a region is a file of this folder. */
const FOLDER = '/dev/shm';
const NAMES = /^millrace-[0-9a-f]{32}$/;
/** A region is this large or a power of two times it, so that calls of similar size share regions. */
const SMALLEST = 256 * 1024;
/** An idle region is given up after this time. */
const IDLE_MS = 60_000;
/** Interval of the upkeep. */
const KEEP_MS = 30_000;
/** A file that nobody has touched for this long was left by a process that was killed; after twice as long it is removed. */
const LEFT_MS = 10 * KEEP_MS;
/** Longest wait for the server to let regions go when the client closes. */
const CLOSE_MS = 600_000;
/** A server that refused a region is not asked again for this long. */
const REFUSED_MS = 60_000;
/** Longest time in which a region is made, beside the calls' own limits. */
const MAKE_MS = 30_000;
/** Longest wait for the server's answer about a region. */
const CALL_MS = 5_000;

/** The calls of Triton's extension for system shared memory (docs/protocol/extension_shared_memory.md of the server). */
export interface RegionCalls {
  /** Throws why regions must not be used with this server. */
  allowed(signal: AbortSignal): Promise<void>;
  register(region: { readonly name: string; readonly key: string; readonly byte_size: number }): Promise<void>;
  /** Throws while a request that the server has not ended uses the region. */
  unregister(name: string): Promise<void>;
}

/** Shared memory of this process and the server, used by one call at a time. */
export interface Region {
  readonly name: string;
  readonly bytes: number;
  readonly file: FileHandle;
}

/**
 * Regions of shared memory that are registered with one server, `most` bytes at a time, kept for the next call.
 *
 * All pages of a region are written when it is made, since a page that cannot be had when the server writes to it kills
 * the server (SIGBUS). A region whose call failed or was cancelled is never used again: the server may still read and
 * write it. It counts until the server has let it go; newer servers say so at once and let it go when they no longer use
 * it. What a killed process left is removed by others that use this folder.
 */
export class Regions {
  readonly #calls: RegionCalls;
  readonly #most: number;
  #idle: (Region & { since: number })[] = [];
  readonly #busy = new Set<Region>();
  /** Given up, but still registered. */
  readonly #leaving = new Set<Region>();
  /** Of those, the ones that the server did not let go when it was asked. */
  readonly #heldByServer = new Set<Region>();
  /** Regions that are being made. */
  #making = 0;
  /** Of all regions that the server may have. */
  #bytes = 0;
  #refused: { readonly why: string; readonly until: number } | undefined;
  #upkeep: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;
  #closed: { readonly at: number; readonly done: () => void } | undefined;

  constructor(calls: RegionCalls, most: number) {
    this.#calls = calls;
    this.#most = most;
  }

  /** Why the last region could not be made. */
  get refusal(): string | undefined {
    return this.#refused?.why;
  }

  /** A region of at least `bytes`. Undefined if none can be had: the caller sends its tensors by value. */
  async take(bytes: number, signal: AbortSignal): Promise<Region | undefined> {
    let size = SMALLEST;
    while (size < bytes) size *= 2;
    if (this.#closed || size > this.#most || (this.#refused && performance.now() < this.#refused.until)) return;
    // Regions of up to four times the size: a large one is not held by calls that need little.
    const fit = this.#idle.filter((one) => one.bytes >= size && one.bytes <= 4 * size);
    const smallest = fit.sort((a, b) => a.bytes - b.bytes).at(0);
    if (smallest) {
      this.#idle = this.#idle.filter((one) => one !== smallest);
      this.#busy.add(smallest);
      return smallest;
    }
    if (this.#bytes + size > this.#most) {
      // There is room for the next call when the server has let it go.
      const oldest = this.#idle.shift();
      if (oldest) void this.#drop(oldest);
      return;
    }
    const made = this.#make(size);
    try {
      return await limited(MAKE_MS, signal, () => made);
    } catch (error) {
      // A caller that leaves does not wait for the server; the region is there for another one.
      void made.then((region) => region && this.release(region));
      signal.throwIfAborted();
      throw error;
    }
  }

  /** Keeps a region for the next call. Only after a call that ended well: the server no longer uses it. */
  release(region: Region): void {
    if (!this.#busy.delete(region)) return;
    if (this.#closed) void this.#drop(region);
    else this.#idle.push(Object.assign(region, { since: performance.now() }));
  }

  /** Gives a region up. Never rejects; resolves when the server has been told, or could not be. */
  async discard(region: Region): Promise<void> {
    if (this.#busy.delete(region)) await this.#drop(region);
  }

  /** Gives all idle regions up, as after a restart of the server, which knows none of them. */
  async forget(): Promise<void> {
    const idle = this.#idle;
    this.#idle = [];
    await Promise.all(idle.map((region) => this.#drop(region)));
  }

  /** Resolves when the server has let all regions go, those in use as their calls end, or after ten minutes. */
  close(): Promise<void> {
    this.#closing ??= new Promise<void>((done) => {
      this.#closed = { at: performance.now(), done };
      void this.forget().then(() => this.#endIfDrained());
    });
    return this.#closing;
  }

  #endIfDrained(): void {
    if (!this.#closed || this.#making + this.#busy.size + this.#leaving.size > 0) return;
    clearInterval(this.#upkeep);
    this.#closed.done();
  }

  /** Undefined if it cannot be made. Ends within the limits of its calls, and is counted until then. */
  async #make(size: number): Promise<Region | undefined> {
    const name = `millrace-${randomBytes(16).toString('hex')}`;
    this.#bytes += size;
    this.#making += 1;
    this.#upkeep ??= setInterval(() => void this.#keep(), KEEP_MS).unref();
    let file: FileHandle | undefined;
    let asked = false;
    try {
      await this.#calls.allowed(AbortSignal.timeout(CALL_MS));
      file = await open(path.join(FOLDER, name), 'wx+', 0o600);
      const zeros = Buffer.alloc(Math.min(size, 1024 * 1024));
      for (let at = 0; at < size; at += zeros.length) await writeAll(file, zeros, at);
      asked = true;
      await this.#calls.register({ name, key: `/${name}`, byte_size: size });
      const region = { name, bytes: size, file };
      this.#refused = undefined;
      this.#busy.add(region);
      return region;
    } catch (error) {
      this.#refused = { why: messageOf(error), until: performance.now() + REFUSED_MS };
      // Without an answer the server may have it.
      if (file && asked) void this.#drop({ name, bytes: size, file });
      else {
        this.#bytes -= size;
        await file?.close().catch(ignore);
        if (file) await unlink(path.join(FOLDER, name)).catch(ignore);
      }
      return undefined;
    } finally {
      this.#making -= 1;
      this.#endIfDrained();
    }
  }

  async #drop(region: Region): Promise<void> {
    this.#leaving.add(region);
    await this.#letGo(region);
    await this.#unregister(region);
  }

  async #letGo({ name, file }: Region): Promise<void> {
    await unlink(path.join(FOLDER, name)).catch(ignore);
    await file.close().catch(ignore);
  }

  async #unregister(region: Region): Promise<void> {
    try {
      await this.#calls.unregister(region.name);
    } catch {
      // In use, or the server is away: the upkeep asks again.
      if (this.#leaving.has(region)) this.#heldByServer.add(region);
      return;
    }
    this.#heldByServer.delete(region);
    if (!this.#leaving.delete(region)) return;
    this.#bytes -= region.bytes;
    this.#endIfDrained();
  }

  async #keep(): Promise<void> {
    const now = performance.now();
    if (this.#closed && now - this.#closed.at > CLOSE_MS) {
      await Promise.all([...this.#busy].map((region) => this.#letGo(region)));
      this.#busy.clear();
      this.#leaving.clear();
      this.#heldByServer.clear();
      return this.#endIfDrained();
    }
    const unused = this.#idle.filter(({ since }) => now - since > IDLE_MS);
    this.#idle = this.#idle.filter((region) => !unused.includes(region));
    await Promise.all([
      ...unused.map((region) => this.#drop(region)),
      ...[...this.#heldByServer].map((region) => this.#unregister(region)),
      ...[...this.#idle, ...this.#busy].map(({ name }) => touch(name)),
    ]);
    await this.#removeLeft().catch(ignore);
  }

  async #removeLeft(): Promise<void> {
    for (const name of (await readdir(FOLDER)).filter((one) => NAMES.test(one))) {
      const touched = (await stat(path.join(FOLDER, name)).catch(ignore))?.mtimeMs ?? Date.now();
      const age = Date.now() - touched;
      if (age < LEFT_MS) continue;
      // The clients of each server on this node ask their own; only the file has the name, so it goes last.
      await this.#calls.unregister(name).catch(ignore);
      if (age > 2 * LEFT_MS) await unlink(path.join(FOLDER, name)).catch(ignore);
    }
  }
}

/** Writes at a position of a file, however many writes that takes. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
}

/** Reads `length` bytes at a position of a file that has them. */
export async function readAll(file: FileHandle, length: number, position: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new Error(`the region ends ${length - done} bytes early`);
    done += bytesRead;
  }
  return bytes;
}

async function touch(name: string): Promise<void> {
  const now = new Date();
  await utimes(path.join(FOLDER, name), now, now).catch(ignore);
}

const ignore = () => undefined;
