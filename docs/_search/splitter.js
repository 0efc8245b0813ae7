// How a query becomes terms; docs/conf.py makes the same of the pages. It goes into Sphinx's language_data.js.
function splitQuery(query) {
  const terms = query.match(/[\u3400-\u9fff\uf900-\ufaff]+|(?:(?![\u3400-\u9fff\uf900-\ufaff])[\p{L}\p{N}_])+/gu) ?? [];
  const pairs = (word) => Array.from({ length: word.length - 1 }, (_, place) => word.slice(place, place + 2));
  const words = (term) =>
    Intl.Segmenter ? Array.from(new Intl.Segmenter("zh", { granularity: "word" }).segment(term), (one) => one.segment) : [term];
  return terms.flatMap((term) => {
    if (term.length < 2 || !/^[\u3400-\u9fff\uf900-\ufaff]/.test(term)) return [term];
    const found = words(term).flatMap(pairs);
    return found.length ? found : pairs(term);
  });
}
