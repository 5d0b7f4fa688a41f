const NAME = '[a-z0-9][a-z0-9._-]{0,62}';

/** A tenant's name: valid in the address of an artifact, and a safe folder name. */
export const TENANT = new RegExp(`^${NAME}$`);

export const ARTIFACT_URI = new RegExp(`^artifact://(${NAME})/([0-9a-f]{64})$`);
