/** Generate image: a prompt → images. */

import { el } from "../dom.js";
import { addJobTab, numberOf } from "../job-tab.js";
import { download, figure, img } from "../media.js";

addJobTab({
  name: "generate-image",

  describe(form) {
    const { prompt, size, n, seed } = form.elements;
    const json = { prompt: prompt.value, size: size.value, n: numberOf(n) };
    const given = numberOf(seed);
    return { path: "/v1/images/generations", json: given === null ? json : { ...json, seed: given }, asJob: true };
  },

  async show(result) {
    const figures = result.data.map(({ url }, index) =>
      figure(img(url, `Image ${index + 1} of ${result.data.length}`), download(url, `image-${index + 1}.png`, "Open")),
    );
    return el("div", { class: figures.length > 1 ? "gallery" : "gallery single" }, ...figures);
  },
});
