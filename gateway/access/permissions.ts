/**
 * Permissions of a caller: `run` starts and cancels runs, `read` reads pipelines, runs and their media, `approve` decides
 * approvals, `metrics` reads `/metrics`. `approve` is separate, so that an agent's key cannot approve its own requests.
 */
export const PERMISSIONS = ['run', 'read', 'approve', 'metrics'] as const;
export type Permission = (typeof PERMISSIONS)[number];

export const isPermission = (name: string): name is Permission => PERMISSIONS.some((each) => each === name);
