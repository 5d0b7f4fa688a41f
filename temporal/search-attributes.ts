import type { Connection } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { SEARCH_ATTRIBUTES } from '../pipelines/run/index.js';

/** Values of temporal.api.enums.v1.IndexedValueType. */
const INDEXED_VALUE = { Keyword: 2, Bool: 5 } as const;

const WANTED: Readonly<Record<string, keyof typeof INDEXED_VALUE>> = {
  [SEARCH_ATTRIBUTES.pipeline]: 'Keyword',
  [SEARCH_ATTRIBUTES.version]: 'Keyword',
  [SEARCH_ATTRIBUTES.tenant]: 'Keyword',
  [SEARCH_ATTRIBUTES.cacheHit]: 'Bool',
};

/** gRPC’s status codes of servers that do not expose their operator service to clients, such as Temporal Cloud. */
const KEPT_FROM_CLIENTS: ReadonlySet<unknown> = new Set([
  7 /* PERMISSION_DENIED */, 12 /* UNIMPLEMENTED */, 16 /* UNAUTHENTICATED */,
]);
const INVALID_ARGUMENT = 3;

/** The two calls of Temporal's operator service that are used. */
interface Operator {
  listSearchAttributes(request: { namespace: string }): Promise<{ customAttributes?: object | null }>;
  addSearchAttributes(request: { namespace: string; searchAttributes: Record<string, number> }): Promise<unknown>;
}

/** Names and types of the search attributes that runs need in the namespace. */
export const wantedAttributes = (): string =>
  Object.entries(WANTED)
    .map(([name, type]) => `${name} (${type})`)
    .join(', ');

/** The attributes that the namespace lacks. Rejects with the error of Temporal's client. */
export async function missingAttributes(
  connection: Connection | NativeConnection,
  namespace: string,
): Promise<readonly string[]> {
  const names = Object.keys(WANTED);
  try {
    const operator = connection.operatorService as unknown as Operator;
    const { customAttributes } = await operator.listSearchAttributes({ namespace });
    return names.filter((name) => !Object.hasOwn(customAttributes ?? {}, name));
  } catch (error) {
    if (!KEPT_FROM_CLIENTS.has(codeOf(error))) throw error;
    const known = await Promise.all(names.map((name) => isQueryable(connection, namespace, name)));
    return names.filter((_, at) => !known[at]);
  }
}

/** Whether the namespace has an attribute: a query that names an unknown one is rejected. */
async function isQueryable(
  connection: Connection | NativeConnection,
  namespace: string,
  name: string,
): Promise<boolean> {
  try {
    await connection.workflowService.countWorkflowExecutions({ namespace, query: `${name} IS NULL` });
    return true;
  } catch (error) {
    if (codeOf(error) === INVALID_ARGUMENT) return false;
    throw error;
  }
}

const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;

/**
 * Registers missing search attributes: a workflow task that sets an unknown one is retried for ever. If clients may not
 * add them, as in Temporal Cloud, the error names those to add.
 */
export async function ensureSearchAttributes(
  connection: Connection | NativeConnection,
  namespace: string,
): Promise<void> {
  try {
    const missing = await missingAttributes(connection, namespace);
    if (missing.length === 0) return;
    const operator = connection.operatorService as unknown as Operator;
    const searchAttributes = Object.fromEntries(
      Object.entries(WANTED).flatMap(([name, type]) => (missing.includes(name) ? [[name, INDEXED_VALUE[type]]] : [])),
    );
    await operator.addSearchAttributes({ namespace, searchAttributes });
  } catch (error) {
    throw new MillraceError(
      'ORCHESTRATOR_UNAVAILABLE',
      `cannot ensure that namespace "${namespace}" has the search attributes ${wantedAttributes()}: ${messageOf(error)}; where clients may not add them, add them by hand`,
      {},
      { cause: error },
    );
  }
}
