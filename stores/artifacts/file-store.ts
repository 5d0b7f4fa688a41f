import { randomUUID } from 'node:crypto';
import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Artifact, artifactUri, isArtifact, parseArtifactUri } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import { FairSlots } from '../../runtime/fair-slots.js';
import { noteLookedUp, readBytes } from './file-read.js';
import { fileError, publish, readText, receive } from './file-write.js';
import { INCOMING, sweepIncoming } from './incoming.js';
import { Room, type RoomLimits } from './room.js';
import type { ArtifactStore, ByteRange, Inspector } from './store.js';
import { isTenant } from './tenant.js';

export interface FileStoreOptions extends RoomLimits {
  /** Largest artifact in bytes; a put above it throws `BODY_TOO_LARGE`. Default: no limit. */
  readonly maxBytes?: number;
}

/**
 * The artifact store on a file system: `<root>/<tenant>/<sha256, first two digits>/<sha256>` holds the bytes,
 * `<sha256>.json` beside it their metadata. Files appear complete, by rename after fsync, the metadata first: a crash
 * leaves files in `.incoming` only, which are removed when the store is opened or pruned a day later. Equal content of one tenant
 * is stored once, even by concurrent puts.
 *
 * Throws `STORE_UNAVAILABLE` if the root cannot be created.
 */
export async function openFileStore(root: string, options: FileStoreOptions = {}): Promise<ArtifactStore> {
  const incoming = path.join(root, INCOMING);
  try {
    await mkdir(incoming, { recursive: true });
    await sweepIncoming(root);
  } catch (error) {
    throw fileError('open', error);
  }
  return new FileStore(root, incoming, options.maxBytes ?? Number.POSITIVE_INFINITY, new Room(root, options));
}

/** Most puts and look-ups at once where tenants take turns. Each has one of Node's four threads for files at a time; more keep these busy. */
const AT_ONCE = 8;
/** Of one tenant: a thread is left to the others. */
const AT_ONCE_OF_TENANT = 3;

/**
 * The turns of tenants at a store that takes this process's threads for files: many small files of one tenant would keep the files of others,
 * and all look-ups of names, waiting. Undefined if it takes none.
 */
export const fileTurns = (store: ArtifactStore): FairSlots | undefined =>
  store instanceof FileStore ? store.turns : undefined;

class FileStore implements ArtifactStore {
  readonly turns = new FairSlots(AT_ONCE, AT_ONCE_OF_TENANT);

  constructor(
    readonly root: string,
    readonly incoming: string,
    readonly maxBytes: number,
    readonly room: Room,
  ) {}

  async put(tenant: string, bytes: AsyncIterable<Uint8Array>, inspector: Inspector): Promise<Artifact> {
    if (!isTenant(tenant)) {
      const message = 'not a tenant name: lower-case letters, digits, dots, dashes and underscores, 63 at most';
      throw new MillraceError('INVALID_INPUT', `"${tenant}" is ${message}`, { fields: [{ field: 'tenant', message }] });
    }
    const temporary = path.join(this.incoming, randomUUID());
    const taken = await this.room.take(tenant);
    let isPublished = false;
    let kept: number | undefined;
    try {
      const { sha256, size } = await receive(temporary, bytes, inspector, {
        maxBytes: this.maxBytes,
        take: (more) => taken.add(more),
      });
      const artifact: Artifact = { uri: artifactUri(tenant, sha256), sha256, bytes: size, ...inspector.end() };
      const target = this.#file(tenant, sha256);
      const known = await stat(target).catch(() => undefined);
      await publish(temporary, target, `${JSON.stringify(artifact)}\n`);
      isPublished = true;
      if (known === undefined) kept = size;
      return artifact;
    } finally {
      taken.end(kept);
      // Files that cannot be removed now are removed at a later start.
      if (!isPublished)
        await Promise.allSettled([rm(temporary, { force: true }), rm(`${temporary}.json`, { force: true })]);
    }
  }

  async stat(tenant: string, uri: string): Promise<Artifact> {
    const file = this.#locate(tenant, uri);
    let size: number;
    let mtimeMs: number;
    try {
      ({ size, mtimeMs } = await stat(file));
    } catch (error) {
      throw fileError('read', error, uri);
    }
    const artifact = parseSidecar(await readText(`${file}.json`));
    if (artifact === undefined || artifact.uri !== uri) {
      throw new MillraceError(
        'ARTIFACT_CORRUPT',
        `the metadata of ${uri} is missing or damaged; store it again to repair it`,
      );
    }
    if (artifact.bytes !== size) {
      throw new MillraceError('ARTIFACT_CORRUPT', `${uri} has ${size} bytes, not ${artifact.bytes}`);
    }
    await noteLookedUp(file, mtimeMs);
    return artifact;
  }

  read(tenant: string, uri: string, range?: ByteRange): AsyncIterable<Uint8Array> {
    return readBytes(this.#locate(tenant, uri), uri, range);
  }

  async check(): Promise<void> {
    const probe = path.join(this.incoming, `check-${randomUUID()}`);
    try {
      await writeFile(probe, 'check');
      await rm(probe);
    } catch (error) {
      throw fileError('write', error);
    }
  }

  /** Validates an address and its tenant. All access by address goes through here. */
  #locate(tenant: string, uri: string): string {
    const address = parseArtifactUri(uri);
    if (address === undefined) throw new MillraceError('ARTIFACT_NOT_FOUND', `"${uri}" is not an artifact's address`);
    if (address.tenant !== tenant) throw new MillraceError('ARTIFACT_NOT_FOUND', `no artifact at ${uri}`);
    return this.#file(address.tenant, address.sha256);
  }

  #file(tenant: string, sha256: string): string {
    return path.join(this.root, tenant, sha256.slice(0, 2), sha256);
  }
}

function parseSidecar(text: string | undefined): Artifact | undefined {
  try {
    const value: unknown = text === undefined ? undefined : JSON.parse(text);
    return isArtifact(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
