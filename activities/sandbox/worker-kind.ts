import { Readable } from 'node:stream';
import { inspectorOf, readWhole } from '../../media/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { MOST_FILES } from '../../pipelines/stages/sandbox.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import type { WorkerKind } from '../stage/worker-kind.js';
import type { SandboxFile } from './sandbox.js';
import type { Sandboxes } from './sandboxes.js';

interface GivenFile {
  readonly name: string;
  readonly uri: string;
}

/** `with` of a call. */
interface Options {
  readonly language: string;
  readonly timeMs?: number;
  readonly memoryBytes?: number;
  readonly outputCharacters?: number;
  /** The code reads artifacts, and its files become artifacts. */
  readonly files?: boolean;
}

/**
 * Stage kind for the code that an agent's model has written.
 * @param storeOfCall the store for one call's files, which bounds what is written
 */
export const sandboxKind =
  (sandboxes: Sandboxes, storeOfCall: () => ArtifactStore): WorkerKind =>
  async ({ model, with: options, input, tenant }, { signal, idempotencyKey, mayBegin }) => {
    const { language, files: hasFiles = false, ...asked } = options as unknown as Options;
    const { code, files: given = [] } = input as unknown as { code: string; files?: readonly GivenFile[] };
    const store = storeOfCall();
    const wanted = hasFiles ? given : [];
    checkNames(wanted);
    const { result, stdout, files, error } = await sandboxes.run(model, {
      language,
      code,
      files: (most) => read(store, tenant, wanted, most, signal),
      limits: { ...asked, ...(!hasFiles && { fileBytes: 0 }) },
      tenant,
      idempotencyKey,
      signal,
      mayBegin,
    });
    const kept = await keep(store, tenant, files);
    const problems = [...(error === undefined ? [] : [error]), ...kept.problems];
    return {
      ...(result !== undefined && { result }),
      stdout,
      ...(kept.files.length > 0 && { files: kept.files }),
      ...(problems.length > 0 && { error: problems.join('\n') }),
    };
  };

/** A name is no path: a sandbox may write it to a folder. */
const NAME = /^(?!\.{1,2}$)[^/\\\p{Cc}]{1,255}$/u;

function checkNames(files: readonly GivenFile[]): void {
  if (files.length > MOST_FILES) throw invalidField('files', `has more than ${MOST_FILES} files`);
  for (const [i, { name }] of files.entries()) {
    if (!NAME.test(name)) throw invalidField(`files.${i}.name`, 'must be the name of a file, without a folder');
    if (files.findIndex((other) => other.name === name) !== i)
      throw invalidField(`files.${i}.name`, `"${name}" is the name of another file`);
  }
}

/** Throws `ARTIFACT_NOT_FOUND`, also for another tenant's artifact, and `BODY_TOO_LARGE`. */
async function read(
  store: ArtifactStore,
  tenant: string,
  files: readonly GivenFile[],
  most: number,
  signal: AbortSignal,
): Promise<SandboxFile[]> {
  const all: SandboxFile[] = [];
  let left = most;
  for (const { name, uri } of files) {
    const bytes = await readWhole(store, tenant, uri, {
      most: left,
      limit: 'are left for the files of a call',
      signal,
    });
    left -= bytes.length;
    all.push({ name, bytes });
  }
  return all;
}

/** Stores what the code has made. A file whose bytes are not what they seem to be is the code's mistake. */
async function keep(
  store: ArtifactStore,
  tenant: string,
  files: readonly SandboxFile[],
): Promise<{ readonly files: JsonObject[]; readonly problems: readonly string[] }> {
  const kept: JsonObject[] = [];
  const problems: string[] = [];
  for (const { name, bytes } of files) {
    if (!NAME.test(name)) {
      problems.push(
        `the file ${JSON.stringify(name.slice(0, 255))} is not kept: its name must be that of a file, without a folder`,
      );
      continue;
    }
    try {
      const file = await store.put(tenant, Readable.from([bytes]), inspectorOf('file'));
      kept.push({ name, file: file as unknown as Json });
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'INVALID_MEDIA') throw error;
      problems.push(`the file "${name}" is not kept: ${error.message}`);
    }
  }
  return { files: kept, problems };
}
