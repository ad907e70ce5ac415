/** Shown to the control plane and kept in manifests. */
export const AGENT_VERSION = '0.1.0';
