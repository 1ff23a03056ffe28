//! Which module needs which: by the symbols that one exports and another uses.
//!
//! The order among what a module needs is depmod's: the modules are sorted so that each comes before those that it needs,
//! beginning with the last one that nothing needs.

use std::collections::{BTreeMap, BTreeSet};

use super::Module;

/// The modules of a kernel, by number, with what each needs.
#[derive(Debug)]
pub(super) struct Graph {
    modules: Vec<Module>,
    /// What each needs itself.
    direct: Vec<Vec<usize>>,
    /// The place of each in the order.
    places: Vec<usize>,
    /// Symbol → the module that has it.
    exported: BTreeMap<String, usize>,
}

impl Graph {
    /// # Errors
    /// When modules need each other in a circle: their names.
    pub(super) fn new(modules: Vec<Module>) -> Result<Self, String> {
        let mut exported = BTreeMap::new();
        for (number, module) in modules.iter().enumerate() {
            for symbol in &module.facts.exported {
                exported.insert(symbol.clone(), number);
            }
        }
        let mut direct = Vec::with_capacity(modules.len());
        for (number, module) in modules.iter().enumerate() {
            let mut needs: Vec<usize> = Vec::new();
            let owners = module.facts.needed.iter().filter_map(|symbol| exported.get(symbol)).copied();
            for owner in owners.filter(|owner| *owner != number) {
                if !needs.contains(&owner) {
                    needs.push(owner);
                }
            }
            direct.push(needs);
        }
        let places = sorted(&direct).map_err(|circle| {
            let names: Vec<&str> = circle.iter().map(|number| modules[*number].name.as_str()).collect();
            format!("its modules need each other in a circle: {}", names.join(", "))
        })?;
        Ok(Self { modules, direct, places, exported })
    }

    pub(super) fn modules(&self) -> impl Iterator<Item = &Module> {
        self.modules.iter()
    }

    pub(super) fn module(&self, number: usize) -> &Module {
        &self.modules[number]
    }

    /// The symbols that modules export, by name, and the number of the module.
    pub(super) fn exported(&self) -> impl Iterator<Item = (&str, usize)> {
        self.exported.iter().map(|(symbol, number)| (symbol.as_str(), *number))
    }

    /// A line of `modules.dep`: the module's path, and those of all that it needs.
    pub(super) fn line(&self, number: usize) -> String {
        let mut line = format!("{}:", self.modules[number].path);
        for needed in self.all_needed(number) {
            line.push(' ');
            line.push_str(&self.modules[needed].path);
        }
        line
    }

    fn all_needed(&self, number: usize) -> Vec<usize> {
        let mut found = BTreeSet::new();
        let mut rest = self.direct[number].clone();
        while let Some(next) = rest.pop() {
            if found.insert(next) {
                rest.extend(&self.direct[next]);
            }
        }
        let mut needed: Vec<usize> = found.into_iter().collect();
        needed.sort_by_key(|number| self.places[*number]);
        needed
    }
}

/// The place of each module in an order in which each comes before what it needs.
fn sorted(direct: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    let mut users = vec![0_usize; direct.len()];
    direct.iter().flatten().for_each(|needed| users[*needed] += 1);
    let mut unused: Vec<usize> = (0..direct.len()).filter(|number| users[*number] == 0).collect();
    let mut places = vec![usize::MAX; direct.len()];
    let mut next = 0;
    while let Some(number) = unused.pop() {
        places[number] = next;
        next += 1;
        for needed in &direct[number] {
            users[*needed] -= 1;
            if users[*needed] == 0 {
                unused.push(*needed);
            }
        }
    }
    if next == direct.len() {
        return Ok(places);
    }
    Err((0..direct.len()).filter(|number| places[*number] == usize::MAX).collect())
}
