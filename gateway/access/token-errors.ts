import { MillraceError } from '../../pipelines/errors.js';
import type { Permission } from './permissions.js';

/** The scope, or role, that gives a token a permission. */
export const scopeOf = (permission: Permission): string => `millrace:${permission}`;

/** The request has a token that is not accepted. */
export class InvalidTokenError extends MillraceError {
  /** @param why what the token is or does, such as `has expired` */
  constructor(why: string) {
    const message = `holds a token that ${why}`;
    super('UNAUTHENTICATED', `Authorization ${message}`, { fields: [{ field: 'Authorization', message }] });
  }
}

/** The token lacks permissions; the caller may get one that has them. */
export class InsufficientScopeError extends MillraceError {
  /** @param permissions those that the token has, and the missing ones */
  constructor(
    message: string,
    readonly permissions: readonly Permission[],
  ) {
    super('FORBIDDEN', message, { fields: [{ field: 'Authorization', message }] });
  }
}
