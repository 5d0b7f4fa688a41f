/**
 * Permissions of a caller: `run` starts, cancels and resumes runs, `read` reads pipelines, runs and their media, `approve` decides
 * approvals, `metrics` reads `/metrics`. Some routes need `run` and `read` (`RUN_AND_READ`).
 * `approve` is separate, so that an agent's key cannot approve its own requests.
 */
export const PERMISSIONS = ['run', 'read', 'approve', 'metrics'] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** What erasing runs, sending their webhooks again and removing cached answers needs: the runs may be those of other keys. */
export const RUN_AND_READ = ['run', 'read'] as const;

export const isPermission = (name: string): name is Permission => PERMISSIONS.some((each) => each === name);
