import { artifactUri, parseArtifactUri } from '../../pipelines/artifact.js';

const ANY_SHA256 = '0'.repeat(64);

/** A tenant's name is what the address of an artifact can hold; in particular it is a safe folder name. */
export const isTenant = (name: string): boolean =>
  parseArtifactUri(artifactUri(name, ANY_SHA256))?.tenant === name && name.length <= 63;
