import type { Connection } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { SEARCH_ATTRIBUTES } from '../pipelines/run/index.js';

/** Values of temporal.api.enums.v1.IndexedValueType. */
const INDEXED_VALUE = { keyword: 2, bool: 5 } as const;

const WANTED: Readonly<Record<string, number>> = {
  [SEARCH_ATTRIBUTES.pipeline]: INDEXED_VALUE.keyword,
  [SEARCH_ATTRIBUTES.version]: INDEXED_VALUE.keyword,
  [SEARCH_ATTRIBUTES.tenant]: INDEXED_VALUE.keyword,
  [SEARCH_ATTRIBUTES.cacheHit]: INDEXED_VALUE.bool,
};

/** The two calls of Temporal's operator service that are used here. */
interface Operator {
  listSearchAttributes(request: { namespace: string }): Promise<{ customAttributes?: object | null }>;
  addSearchAttributes(request: { namespace: string; searchAttributes: Record<string, number> }): Promise<unknown>;
}

/**
 * Registers the search attributes that runs carry where they are missing: a workflow task that sets an unknown one is
 * retried for ever. Temporal Cloud does not let a client add them; the error then says what to add.
 */
export async function ensureSearchAttributes(
  connection: Connection | NativeConnection,
  namespace: string,
): Promise<void> {
  const operator = connection.operatorService as unknown as Operator;
  try {
    const { customAttributes } = await operator.listSearchAttributes({ namespace });
    const missing = Object.entries(WANTED).filter(([name]) => !Object.hasOwn(customAttributes ?? {}, name));
    if (missing.length > 0)
      await operator.addSearchAttributes({ namespace, searchAttributes: Object.fromEntries(missing) });
  } catch (error) {
    const wanted = Object.keys(WANTED).join(', ');
    throw new MillraceError(
      'ORCHESTRATOR_UNAVAILABLE',
      `cannot make sure that namespace "${namespace}" has the search attributes ${wanted}: ${messageOf(error)}`,
      {},
      { cause: error },
    );
  }
}
