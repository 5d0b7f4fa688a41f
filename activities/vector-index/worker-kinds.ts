import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { Passage } from '../../pipelines/stages/index.js';
import { MOST_RETRIEVED } from '../../pipelines/stages/option-bounds.js';
import type { WorkerKind, WorkerRequest } from '../stage/worker-kind.js';
import type { PassageIndex } from './passage-index.js';

const retrieveOptions = z.object({
  k: z.int().min(1).max(MOST_RETRIEVED),
  minScore: z.number().min(-1).max(1).optional(),
  embedder: z.string(),
});
const upsertOptions = z.object({ embedder: z.string() });

/** The stage kinds `retrieve` and `upsert`, by name. */
export function indexKinds(index: PassageIndex): ReadonlyMap<string, WorkerKind> {
  return new Map<string, WorkerKind>([
    [
      'retrieve',
      async (request, { signal }) => {
        const { query } = request.input as { query: string };
        const passages = await index.search({ ...of(request, retrieveOptions), query }, signal);
        return { passages: passages as unknown as JsonObject[] };
      },
    ],
    [
      'upsert',
      async (request, { signal }) => {
        const { passages } = request.input as unknown as { passages: Passage[] };
        return { count: await index.upsert({ ...of(request, upsertOptions), passages }, signal) };
      },
    ],
  ]);
}

/** The call's tenant and caller, and the stage's options. Throws `INVALID_PIPELINE`: options come from the definition. */
function of<T extends object>(request: WorkerRequest, options: z.ZodType<T>) {
  const { model, tenant, insertedBy, priority, with: given } = request;
  const parsed = options.safeParse(given);
  if (parsed.success) return { ...parsed.data, tenant, insertedBy, priority, index: model };
  const fields = parsed.error.issues.map(({ path, message }) => ({ field: path.join('.'), message }));
  throw new MillraceError('INVALID_PIPELINE', fields.map((f) => `${f.field}: ${f.message}`).join('; '), { fields });
}
