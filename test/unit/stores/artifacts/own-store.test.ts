import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type ArtifactStore, type ByteRange, defineConfig, type Inspector } from '../../../../workers/server.js';
import { type Bucket, bucketStore } from '../../../support/acme/bucket-store.js';

/** An object storage in memory. */
class MemoryBucket implements Bucket {
  readonly objects = new Map<string, Buffer>();
  /** Why nothing can be read or written. */
  down: Error | undefined;

  async put(key: string, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of bytes) chunks.push(chunk);
    this.#answer();
    this.objects.set(key, Buffer.concat(chunks));
  }

  async get(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    this.#answer();
    const object = this.objects.get(key);
    return object && stream(range === undefined ? object : object.subarray(range.start, range.end + 1));
  }

  async move(from: string, to: string): Promise<void> {
    this.#answer();
    this.objects.set(to, this.objects.get(from) ?? Buffer.of());
    this.objects.delete(from);
  }

  async remove(key: string): Promise<void> {
    this.#answer();
    this.objects.delete(key);
  }

  #answer(): void {
    if (this.down !== undefined) throw this.down;
  }
}

async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += 4) yield bytes.subarray(at, at + 4);
}

function opened() {
  const bucket = new MemoryBucket();
  const store: ArtifactStore = bucketStore(bucket);
  const read = async (uri: string, range?: ByteRange, tenant = 'acme') => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of store.read(tenant, uri, range)) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  return { bucket, store, read };
}

const wav = (): Inspector => ({ push: () => undefined, end: () => ({ mime: 'audio/wav', durationMs: 20 }) });
const TEXT = 'ten bytes!';
const coded = (code: string) => expect.objectContaining({ code });

describe('the artifact store that docs/reference/artifacts.md shows', () => {
  it('keeps what it is given, with the metadata of the inspector', async () => {
    const { bucket, store, read } = opened();
    const seen: string[] = [];
    const push = (chunk: Uint8Array) => {
      seen.push(Buffer.from(chunk).toString());
    };
    const artifact = await store.put('acme', stream(Buffer.from(TEXT)), { ...wav(), push });
    const sha256 = createHash('sha256').update(TEXT).digest('hex');
    expect(artifact).toEqual({
      uri: `artifact://acme/${sha256}`,
      sha256,
      bytes: 10,
      mime: 'audio/wav',
      durationMs: 20,
    });
    expect(seen).toEqual(['ten ', 'byte', 's!']);
    expect(await store.stat('acme', artifact.uri)).toEqual(artifact);
    expect(await read(artifact.uri)).toBe(TEXT);
    expect(await read(artifact.uri, { start: 4, end: 8 })).toBe('bytes');
    expect(await read(artifact.uri, { start: 9, end: 90 })).toBe('!');
    expect([...bucket.objects.keys()]).toEqual([`acme/${sha256}`, `acme/${sha256}.json`]);
    expect(defineConfig({ stores: { artifacts: store } }).stores?.artifacts).toBe(store);
  });

  it('shows a tenant its own media only', async () => {
    const { store, read } = opened();
    const { uri } = await store.put('acme', stream(Buffer.from(TEXT)), wav());
    for (const asked of [uri, uri.replace('acme', 'other'), 'artifact://other/../acme/x', 'file:///etc/passwd']) {
      await expect(store.stat('other', asked), asked).rejects.toThrow(coded('ARTIFACT_NOT_FOUND'));
      await expect(read(asked, undefined, 'other'), asked).rejects.toThrow(coded('ARTIFACT_NOT_FOUND'));
    }
  });

  it('keeps nothing that its bytes or its inspector reject, and says what they said', async () => {
    const { bucket, store } = opened();
    const refused = new Error('refused');
    const refuse = () => {
      throw refused;
    };
    async function* broken(): AsyncGenerator<Uint8Array, void> {
      yield Buffer.from('1');
      throw refused;
    }
    const given = () => stream(Buffer.from(TEXT));
    await expect(store.put('acme', given(), { ...wav(), push: refuse })).rejects.toBe(refused);
    await expect(store.put('acme', given(), { ...wav(), end: refuse })).rejects.toBe(refused);
    await expect(store.put('acme', broken(), wav())).rejects.toBe(refused);
    expect(bucket.objects.size).toBe(0);
  });

  it('tells changed bytes, damaged metadata and a bucket that is down by their codes', async () => {
    const { bucket, store, read } = opened();
    const { uri, sha256 } = await store.put('acme', stream(Buffer.from(TEXT)), wav());
    await store.check();
    bucket.objects.set(`acme/${sha256}`, Buffer.from('two bytes!'));
    await expect(read(uri)).rejects.toThrow(coded('ARTIFACT_CORRUPT'));
    // Other JSON, and what a write that broke off has left.
    for (const metadata of ['{}', '{"uri"']) {
      bucket.objects.set(`acme/${sha256}.json`, Buffer.from(metadata));
      await expect(store.stat('acme', uri), metadata).rejects.toThrow(coded('ARTIFACT_CORRUPT'));
    }
    bucket.down = new Error('connect ECONNREFUSED');
    await expect(read(uri)).rejects.toThrow(coded('STORE_UNAVAILABLE'));
    await expect(store.stat('acme', uri)).rejects.toThrow(coded('STORE_UNAVAILABLE'));
    await expect(store.check()).rejects.toThrow(coded('STORE_UNAVAILABLE'));
    await expect(store.put('acme', stream(Buffer.from(TEXT)), wav())).rejects.toThrow(coded('STORE_UNAVAILABLE'));
  });
});
