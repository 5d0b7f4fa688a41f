export { type ProfileFolder, profilesIn } from './profile-folder.js';
export { fingerprintAt, profileTarget } from './profile-target.js';
export { SampleAudio } from './sample-audio.js';
export { type Target, targetsOf } from './targets.js';
