import { isPermission, type Permission } from './permissions.js';

/** What values of a token's claims permit: names of groups and roles, or subjects. */
export type Grants = ReadonlyMap<string, readonly Permission[]>;

/** A grant as settings write it, such as `platform-team=run+read`; undefined if it is none. The value may have `=` itself. */
export function grantIn(text: string): readonly [value: string, permissions: readonly Permission[]] | undefined {
  const [, value = '', names = ''] = /^(.*\S)\s*=([a-z+]+)$/.exec(text) ?? [];
  const permissions = names.split('+');
  return value !== '' && permissions.every(isPermission) ? [value, permissions] : undefined;
}

/** The grants of several texts; those of a value that is named twice are joined. Texts that are no grants are left out. */
export function grantsIn(texts: readonly string[]): Grants {
  const grants = new Map<string, readonly Permission[]>();
  for (const text of texts) {
    const grant = grantIn(text);
    if (grant === undefined) continue;
    const [value, permissions] = grant;
    grants.set(value, [...(grants.get(value) ?? []), ...permissions]);
  }
  return grants;
}
