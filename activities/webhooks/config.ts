import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type MillraceError, messageOf } from '../../pipelines/errors.js';
import { invalidSetting } from '../../pipelines/invalid-setting.js';
import { WEBHOOK_TYPES, type WebhookType } from '../../pipelines/run/index.js';
import { WatchedFile } from '../../runtime/watched-file.js';
import { withoutMark } from '../../runtime/without-mark.js';
import { isTenant } from '../../stores/artifacts/index.js';
import type { Logger } from '../../telemetry/logger.js';
import { secretFault } from './signature.js';
import { targetFault } from './target-url.js';

/** The setting that names this file. */
const SETTING = 'MILLRACE_WEBHOOKS';
/** Every secret signs each attempt; two allow a rotation. */
const MOST_SECRETS = 4;
/** Every endpoint is notified of every run, and a run's delivery holds the attempts at all of them. */
const MOST_ENDPOINTS = 16;

export interface TenantWebhooks {
  /** Signs requests to URLs that callers name, and to endpoints without secrets of their own. */
  readonly secrets?: readonly string[] | undefined;
  /** By name; each is notified of every run of its pipelines. */
  readonly endpoints?: Readonly<Record<string, Endpoint>> | undefined;
}

export interface Endpoint {
  readonly url: string;
  readonly secrets?: readonly string[] | undefined;
  /** Absent: all. */
  readonly pipelines?: readonly string[] | undefined;
  /** Absent: all. */
  readonly events?: readonly WebhookType[] | undefined;
}

type Tenants = Readonly<Record<string, TenantWebhooks>>;

/** Messages never contain a secret. */
const secrets = z
  .array(
    z.string('must be a text').superRefine((text, { addIssue }) => {
      const fault = secretFault(text);
      if (fault !== undefined) addIssue(fault);
    }),
  )
  .min(1)
  .max(MOST_SECRETS);

const schemaOf = (allowPrivate: boolean) =>
  z.record(
    z.string().refine(isTenant, 'is not a tenant name'),
    z
      .strictObject({
        secrets: secrets.optional(),
        endpoints: z
          .record(
            z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'is not a name such as "billing"'),
            z.strictObject({
              url: z.string().superRefine((text, { addIssue }) => {
                const fault = targetFault(text, allowPrivate);
                if (fault !== undefined) addIssue(fault);
              }),
              secrets: secrets.optional(),
              pipelines: z.array(z.string()).min(1).optional(),
              events: z.array(z.enum(WEBHOOK_TYPES)).min(1).optional(),
            }),
          )
          .refine((all) => Object.keys(all).length <= MOST_ENDPOINTS, `has more than ${MOST_ENDPOINTS} endpoints`)
          .optional(),
      })
      .superRefine(({ secrets: own, endpoints = {} }, { addIssue }) => {
        const [bare] = Object.entries(endpoints).find(([, endpoint]) => !endpoint.secrets && !own) ?? [];
        if (bare !== undefined) addIssue(`has no secrets, and its endpoint "${bare}" has none of its own`);
      }),
  );

/** Throws `INVALID_SETTING` naming the place. */
export function parseWebhooks(text: string, allowPrivate: boolean): Tenants {
  const parsed = schemaOf(allowPrivate).safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'}: ${message}`);
  throw invalid(faults.join('; '));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(withoutMark(text));
  } catch {
    // The parser's message quotes the text, which contains secrets.
    throw invalid('is not valid JSON');
  }
}

const invalid = (message: string): MillraceError => invalidSetting(SETTING, message);

/** The file of tenants' webhook endpoints and secrets, reread when it changes, so that a rotation needs no restart. */
export class WebhookConfig {
  readonly allowPrivate: boolean;
  readonly #tenants: WatchedFile<Tenants> | undefined;

  /** Throws `INVALID_SETTING` for a file that cannot be read or has mistakes. */
  constructor(
    file: string | undefined,
    { allowPrivate, logger }: { readonly allowPrivate: boolean; readonly logger: Logger },
  ) {
    this.allowPrivate = allowPrivate;
    const read = (name: string) => parseWebhooks(textOf(name), allowPrivate);
    this.#tenants = file === undefined ? undefined : new WatchedFile(file, 'webhooks', read, logger);
  }

  /**
   * A tenant's current configuration. If the file becomes unreadable, the last valid one stays and an error is logged.
   */
  of(tenant: string): TenantWebhooks {
    const tenants = this.#tenants?.current ?? {};
    return Object.hasOwn(tenants, tenant) ? (tenants[tenant] ?? {}) : {};
  }

  close(): void {
    this.#tenants?.close();
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw invalid(`cannot read ${file}: ${messageOf(error)}`);
  }
}
