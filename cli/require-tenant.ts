import { MillraceError } from '../pipelines/errors.js';
import { isTenant } from '../stores/artifacts/index.js';

/** Throws `INVALID_INPUT` unless `--tenant` names a tenant. */
export function requireTenant(name: string): void {
  if (isTenant(name)) return;
  throw new MillraceError('INVALID_INPUT', `--tenant: "${name}" is not a tenant name`, {
    fields: [{ field: 'tenant', message: 'is not a tenant name' }],
  });
}
