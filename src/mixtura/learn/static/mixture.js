// Densities and memberships in two dimensions, for updates without the server. The server does all
// fits.

/** log(weight × density) of each component at a place. */
export function logHeights({ weights, means, covariances }, [x, y]) {
  return weights.map((weight, k) => {
    const [[a, b], [, c]] = covariances[k];
    const det = a * c - b * b;
    const u = x - means[k][0];
    const v = y - means[k][1];
    const distance = (c * u * u - 2 * b * u * v + a * v * v) / det;
    return Math.log(weight) - Math.log(2 * Math.PI) - 0.5 * Math.log(det) - 0.5 * distance;
  });
}

/** The membership in each component. */
export function sharesAt(mixture, place) {
  return softmax(logHeights(mixture, place));
}

/** Memberships from log heights; the largest is subtracted first, so that nothing becomes 0 / 0. */
export function softmax(logs) {
  const most = Math.max(...logs);
  const parts = logs.map((value) => Math.exp(value - most));
  const sum = parts.reduce((a, b) => a + b, 0);
  return parts.map((part) => part / sum);
}

/** The points of the ellipse that contains this probability of its component. */
export function ellipse(mean, [[a, b], [, c]], probability, steps = 72) {
  // In two dimensions, squared distances are chi-squared with two degrees of freedom.
  const radius = Math.sqrt(-2 * Math.log(1 - probability));
  const l11 = Math.sqrt(a); // Cholesky factor
  const l21 = b / l11;
  const l22 = Math.sqrt(Math.max(c - l21 * l21, 0));
  return Array.from({ length: steps + 1 }, (_, i) => {
    const u = radius * Math.cos((2 * Math.PI * i) / steps);
    const v = radius * Math.sin((2 * Math.PI * i) / steps);
    return [mean[0] + l11 * u, mean[1] + l21 * u + l22 * v];
  });
}

/** The density of a bell curve. */
export function bell(x, mean, spread) {
  return Math.exp(-0.5 * ((x - mean) / spread) ** 2) / (spread * Math.sqrt(2 * Math.PI));
}
