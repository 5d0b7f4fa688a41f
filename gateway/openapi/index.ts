export { collectRoutes } from './document.js';
export { openApiRoutes } from './openapi-routes.js';
